import { type Static, type TSchema, Type } from 'typebox'
import { LANES, ROLES, STAGE_KINDS, STAGE_STATES } from './states.ts'

/** Whose log an entry of an action stands in. */
type Whose = 'tenant' | 'installation' | 'both'

type ActionSpec = {
  readonly log: Whose
  readonly text: string
  /** Of the entry's `detail`. */
  readonly detail: TSchema
}

const oneOf = <const Values extends readonly string[]>(values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: [...values] })

const none = Type.Null()
const time = Type.String({ format: 'date-time' })
const count = Type.Integer({ minimum: 1 })

/** What came again and again is one entry a minute: how often it came, first and last. */
const repeats = { count, from: time, to: time }

const request = Type.String({ description: 'Method and route: `GET /v1/jobs/{id}`' })
const address = Type.String({ description: 'Of the connection; behind a proxy that of the proxy' })

/**
 * Why a request was denied.
 * - `role`, `no_tenant`, `no_reason`: a good credential, but not for this; an operator inside of no
 *   tenant, or inside of one without a reason.
 * - `other_tenant`, `unknown_tenant`: `x-weir-tenant` names a tenant that is not the key's, or none.
 * - `suspended`, `revoked`, `expired`: the tenant or the key is not good any more.
 * - `wrong_secret`, `unknown_key`, `no_key`: nobody knows who asked.
 * - `not_found`: a thing of a well-formed id that is not the tenant's: another's, or one long gone.
 */
export const DENIAL_CAUSES = [
  'role',
  'no_tenant',
  'no_reason',
  'other_tenant',
  'unknown_tenant',
  'suspended',
  'revoked',
  'expired',
  'wrong_secret',
  'unknown_key',
  'no_key',
  'not_found',
] as const
export type DenialCause = (typeof DENIAL_CAUSES)[number]

const refused = Type.Object({
  ...repeats,
  code: Type.String({ description: 'Of the problem that was answered' }),
  cause: oneOf(['tenant', 'platform']),
  quota: Type.Optional(Type.String()),
  stage: Type.Optional(Type.String()),
})

const quotas = Type.Record(Type.String(), Type.Integer())

const settings = Type.Object({
  kind: Type.Optional(oneOf(STAGE_KINDS)),
  partitions: Type.Optional(Type.Integer()),
  lanes: Type.Optional(Type.Array(oneOf(LANES))),
  inFlightMax: Type.Optional(Type.Integer()),
  targetDelayMs: Type.Optional(Type.Integer()),
  autoActivate: Type.Optional(Type.Boolean()),
  image: Type.Optional(Type.String()),
  env: Type.Optional(
    Type.Array(Type.String(), { description: 'Names of the variables; never their values' }),
  ),
  resources: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  replicas: Type.Optional(Type.Object({ min: Type.Integer(), max: Type.Integer() })),
  retryBudget: Type.Optional(Type.Number()),
  contract: Type.Optional(Type.Object({ version: Type.String(), hash: Type.String() })),
})

const gateState = oneOf(['open', 'throttled', 'closed', 'gone'])

/** Every action that an entry of the audit log can have, and what its detail says. */
export const auditActions = {
  'key.create': {
    log: 'tenant',
    text: 'a key was made',
    detail: Type.Object({
      name: Type.String(),
      role: oneOf(ROLES),
      scopes: Type.Array(Type.String()),
    }),
  },
  'key.revoke': { log: 'tenant', text: 'a key was revoked', detail: none },
  'job.cancel': { log: 'tenant', text: 'the end of a job was asked for', detail: none },
  'jobs.cancel': {
    log: 'tenant',
    text: 'the end of all jobs of a filter was asked for; an entry for each two hundred of them',
    detail: Type.Object({
      filter: Type.Record(Type.String(), Type.Unknown()),
      cancelled: Type.Integer({ minimum: 0, description: 'Queued ones, that ended' }),
      cancelling: Type.Integer({ minimum: 0, description: 'Running ones' }),
    }),
  },
  'pipeline.publish': {
    log: 'tenant',
    text: 'a version was published and became current',
    detail: Type.Object({ version: Type.Integer() }),
  },
  'pipeline.current': {
    log: 'tenant',
    text: 'an earlier version was made the current one',
    detail: Type.Object({ version: Type.Integer() }),
  },
  'pipeline.pause': { log: 'tenant', text: 'jobs are taken and not dispatched', detail: none },
  'pipeline.resume': { log: 'tenant', text: 'jobs are dispatched again', detail: none },
  'pipeline.delete': { log: 'tenant', text: 'no new jobs are taken', detail: none },
  'tenant.create': {
    log: 'both',
    text: 'a tenant was added, with its first key',
    detail: Type.Object({ name: Type.String(), quotas }),
  },
  'tenant.change': {
    log: 'both',
    text: 'name, quotas or suspension of a tenant were changed',
    detail: Type.Object({
      name: Type.Optional(Type.String()),
      suspended: Type.Optional(Type.Boolean()),
      quotas: Type.Optional(quotas),
    }),
  },
  'tenant.delete': { log: 'both', text: 'a tenant was deleted', detail: none },
  'stage.register': { log: 'installation', text: 'a stage was registered', detail: settings },
  'stage.change': { log: 'installation', text: 'settings of a stage were sent', detail: settings },
  'stage.key': {
    log: 'installation',
    text: 'a further key of a stage was made',
    detail: Type.Object({ keyId: Type.String() }),
  },
  'stage.activate': { log: 'installation', text: 'somebody asked for it', detail: none },
  'stage.deactivate': { log: 'installation', text: 'somebody asked for it', detail: none },
  'stage.reactivate': { log: 'installation', text: 'somebody asked for it', detail: none },
  'stage.terminate': { log: 'installation', text: 'somebody asked for it', detail: none },
  'stage.state': {
    log: 'installation',
    text: 'a stage came into a state by what its instances said',
    detail: Type.Object({ from: oneOf(STAGE_STATES), to: oneOf(STAGE_STATES) }),
  },
  'access.operator': {
    log: 'tenant',
    text: 'an operator did something inside of a tenant; written before it is done',
    detail: Type.Object({ request, address }),
  },
  'access.denied': {
    log: 'both',
    text: 'a request was denied',
    detail: Type.Object({ ...repeats, request, address, cause: oneOf(DENIAL_CAUSES) }),
  },
  'admission.refused': {
    log: 'tenant',
    text: 'jobs were refused for now: a rate or a quota is used up',
    detail: refused,
  },
  'backpressure.refused': {
    log: 'tenant',
    text: 'jobs were refused for now: their way has no room',
    detail: refused,
  },
  'audit.crowded': {
    log: 'both',
    text: 'more kinds of denials and refusals came than are told apart',
    detail: Type.Object(repeats),
  },
  'gate.changed': {
    log: 'installation',
    text: 'the watchdog changed the gate of a stage',
    detail: Type.Object({
      stage: Type.String(),
      lane: oneOf(LANES),
      from: Type.Union([gateState, Type.Null()]),
      to: gateState,
      reason: Type.String(),
    }),
  },
  'gates.unknown': {
    log: 'installation',
    text: 'no watchdog has confirmed the gates for two seconds: they count as unknown',
    detail: Type.Object({ since: time }),
  },
  'gates.known': {
    log: 'installation',
    text: 'a watchdog confirms the gates again',
    detail: Type.Object({ since: time }),
  },
} as const satisfies Record<string, ActionSpec>

export type AuditAction = keyof typeof auditActions
export type AuditDetail<Action extends AuditAction> = Static<
  (typeof auditActions)[Action]['detail']
>
