import {
  type AuditAction,
  type AuditDetail,
  defaults,
  deriveTicketKey,
  formatTicketKey,
  LANES,
  type Lane,
  parseStageRef,
  STAGE_KINDS,
  STAGE_STATES,
  WeirError,
} from '@weir/contracts'
import {
  asRole,
  getStage,
  INSTALLATION,
  insertAudit,
  insertStage,
  listContracts,
  listStages,
  type Stage,
  type StageContract,
  type StageSettings,
  updateStage,
  withTenant,
} from '@weir/postgres'
import { type Static, Type } from 'typebox'
import { entryOf } from '../audit/entry.ts'
import type { Control } from '../control.ts'
import { callerOf } from '../http/caller-of.ts'
import { JSON_TYPE } from '../http/content-type.ts'
import { notFound } from '../http/not-found.ts'
import { closed, nullable, oneOf, time } from '../http/schemas.ts'
import { toTime } from '../http/times.ts'
import type { App, Request } from '../http/type-provider.ts'
import { type DeclaredContract, STAGES_MAX } from '../stages/stage-control.ts'
import { targetDelayOf } from '../stages/stage-record.ts'
import { sumTelemetry, telemetrySchema } from '../stages/stage-telemetry.ts'
import { createStageTopics } from '../stages/stage-topics.ts'
import { nextState, OPERATIONS } from '../stages/transitions.ts'

const KEYS_MAX = 8
const refParams = Type.Object({ ref: Type.String() })
const text = Type.String({ minLength: 1, maxLength: 512 })

const stageBody = Type.Object(
  {
    kind: Type.Optional(oneOf(STAGE_KINDS)),
    partitions: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
    lanes: Type.Optional(Type.Array(oneOf(LANES), { minItems: 1, uniqueItems: true })),
    inFlightMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    targetDelayMs: Type.Optional(
      Type.Integer({
        minimum: 10,
        maximum: 3_600_000,
        description: 'How long records may wait before the stage; beyond it less is let in',
      }),
    ),
    autoActivate: Type.Optional(Type.Boolean()),
    image: Type.Optional(text),
    env: Type.Optional(
      Type.Record(Type.String({ maxLength: 128 }), Type.String({ maxLength: 4_096 })),
    ),
    resources: Type.Optional(Type.Record(Type.String({ maxLength: 64 }), Type.Unknown())),
    replicas: Type.Optional(
      Type.Object(
        {
          min: Type.Integer({ minimum: 0, maximum: 1_000 }),
          max: Type.Integer({ minimum: 1, maximum: 1_000 }),
        },
        closed,
      ),
    ),
    retryBudget: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    contract: Type.Optional(
      Type.Object(
        {
          version: Type.String({ pattern: '^\\d{1,9}\\.\\d{1,9}\\.\\d{1,9}$' }),
          hash: Type.String({ minLength: 1, maxLength: 128 }),
          input: Type.Unknown(),
          output: Type.Unknown(),
        },
        { ...closed, description: 'What a version takes and gives, before an instance runs it' },
      ),
    ),
  },
  closed,
)
type StageBody = Static<typeof stageBody>

const stageSchema = Type.Object({
  ref: Type.String(),
  kind: nullable(oneOf(STAGE_KINDS)),
  state: oneOf(STAGE_STATES),
  partitions: Type.Integer(),
  lanes: Type.Array(oneOf(LANES)),
  inFlightMax: Type.Integer(),
  targetDelayMs: Type.Integer(),
  autoActivate: Type.Boolean(),
  rowVersion: Type.Integer(),
  spec: Type.Record(Type.String(), Type.Unknown()),
  instances: Type.Array(
    Type.Object({
      id: Type.String(),
      version: Type.String(),
      state: Type.String(),
      partitions: Type.Array(Type.String()),
      heartbeatAgeMs: Type.Integer(),
      startedAt: time,
    }),
  ),
  contracts: Type.Array(
    Type.Object({
      version: Type.String(),
      hash: Type.String(),
      accepted: Type.Boolean(),
      reason: nullable(Type.String()),
      input: Type.Unknown(),
      output: Type.Unknown(),
    }),
  ),
  createdAt: time,
  updatedAt: time,
})

/** Stages: shared by all tenants, registered by operators. */
export function addStageRoutes(app: App, control: Control): void {
  const { pool, stages, masterKey, instances } = control
  const tx = asRole(pool)

  const view = (stage: Stage, contracts: readonly StageContract[], isOperator: boolean) => ({
    ref: stage.ref,
    kind: stage.kind === '' ? null : stage.kind,
    state: stage.state,
    partitions: stage.partitions,
    lanes: stage.lanes,
    inFlightMax: stage.inFlightMax,
    targetDelayMs: targetDelayOf(stage),
    autoActivate: stage.autoActivate,
    rowVersion: stage.rowVersion,
    // Environments hold what only the installation's operators may see.
    spec: isOperator ? JSON.parse(stage.spec) : {},
    instances: instances.liveOf(stage.ref).map(({ record, seenAt }) => ({
      id: record.instance,
      version: record.version,
      state: record.state,
      partitions: record.partitions.map(([topic, partition]) => `${topic}/${partition}`),
      heartbeatAgeMs: Math.max(0, Date.now() - seenAt),
      startedAt: new Date(record.startedAt).toISOString(),
    })),
    contracts: contracts.map(({ version, hash, accepted, reason, input, output }) => ({
      version,
      hash,
      accepted,
      reason,
      input: JSON.parse(input),
      output: JSON.parse(output),
    })),
    createdAt: toTime(stage.createdAt),
    updatedAt: toTime(stage.updatedAt),
  })

  const show = async (stage: Stage, request: Request) =>
    view(stage, await listContracts(tx, stage.ref), callerOf(request).role === 'operator')

  const audit = <Action extends Extract<AuditAction, `stage.${string}`>>(
    request: Request,
    action: Action,
    ref: string,
    detail: AuditDetail<Action>,
  ) =>
    withTenant(pool, INSTALLATION, (inside) =>
      insertAudit(inside, INSTALLATION, entryOf(request, action, `stage:${ref}`, detail)),
    )

  /** Refused before anything is changed: what callers rely on is found out at no instance's cost. */
  async function assertCompatible(ref: string, contract: DeclaredContract): Promise<void> {
    const parsed = parseStageRef(ref)
    if (parsed !== undefined && Number(contract.version.split('.')[0]) !== parsed.major) {
      const message = `must be a version of ${ref}`
      const errors = [{ path: '/contract/version', code: 'pattern', message }]
      throw new WeirError('invalid_request', 'The version is not one of this stage.', { errors })
    }
    const reason = await stages.refusalOf(ref, contract)
    if (reason === undefined) return
    const { version } = contract
    throw new WeirError('contract_incompatible', `${ref} ${version}: ${reason}.`, {
      members: { stage: ref, version },
    })
  }

  const keyOf = (ref: string, id: string): string =>
    formatTicketKey(deriveTicketKey(masterKey, ref, id))

  async function register(ref: string, body: StageBody): Promise<Stage | undefined> {
    const settings = toSettings(body, undefined)
    // The topics first: a stage that is in the table has them.
    await createStageTopics(control, ref, settings.partitions, settings.lanes)
    return insertStage(tx, ref, { ...settings, state: 'created', keyIds: ['k1'] })
  }

  async function change(stage: Stage, body: StageBody): Promise<Stage> {
    const settings = toSettings(body, stage)
    if (settings.partitions !== stage.partitions) {
      throw new WeirError(
        'conflict',
        'The number of partitions is fixed when a stage is registered.',
      )
    }
    if (stage.lanes.some((lane) => !settings.lanes.includes(lane))) {
      throw new WeirError('conflict', 'A lane cannot be taken away: it may hold messages.')
    }
    // A stage that was terminated begins anew.
    const state = stage.state === 'terminated' ? 'created' : stage.state
    const wanted = { ...settings, state }
    const isSame = Object.entries(wanted).every(
      ([name, value]) => JSON.stringify(value) === JSON.stringify(stage[name as keyof Stage]),
    )
    if (isSame) return stage
    await createStageTopics(control, stage.ref, settings.partitions, settings.lanes)
    const changed = await updateStage(tx, stage.ref, stage.rowVersion, wanted)
    if (changed === undefined) throw somebodyElse()
    return changed
  }

  app.route({
    method: 'PUT',
    url: '/v1/stages/:ref',
    config: {
      permission: 'stages:manage',
      consumes: [JSON_TYPE],
      errors: ['conflict', 'contract_incompatible'],
    },
    schema: {
      summary: 'Register a stage, or change it; its key is shown once',
      params: refParams,
      body: stageBody,
      response: {
        201: Type.Interface([stageSchema], { stageKey: Type.String() }),
        200: stageSchema,
      },
    },
    handler: async (request, reply) => {
      const { ref } = request.params
      if (parseStageRef(ref) === undefined) {
        const errors = [{ path: '/ref', code: 'pattern', message: 'must be name@major' }]
        throw new WeirError('invalid_request', 'The stage’s name is not valid.', { errors })
      }
      const body = request.body ?? {}
      const { contract } = body
      if (contract !== undefined) await assertCompatible(ref, contract)
      const before = await getStage(tx, ref)
      const inserted = before === undefined ? await register(ref, body) : undefined
      const changed =
        inserted ?? (await change(before ?? (await getStage(tx, ref)) ?? lost(), body))
      await audit(
        request,
        inserted === undefined ? 'stage.change' : 'stage.register',
        ref,
        noteOf(body),
      )
      if (contract !== undefined) await stages.declare(ref, contract)
      await stages.publish(ref)
      const stage = (contract === undefined ? undefined : await getStage(tx, ref)) ?? changed
      if (inserted === undefined) return show(stage, request)
      reply.status(201).header('location', `/v1/stages/${ref}`)
      return { ...(await show(stage, request)), stageKey: keyOf(ref, 'k1') }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/stages/:ref/key',
    config: { permission: 'stages:manage', consumes: [JSON_TYPE], errors: ['conflict'] },
    schema: {
      summary: 'Make a further key; the earlier ones go on to be valid',
      params: refParams,
      response: {
        201: Type.Object({ ref: Type.String(), keyId: Type.String(), stageKey: Type.String() }),
      },
    },
    handler: async (request, reply) => {
      const { ref } = request.params
      const stage = await getStage(tx, ref)
      if (stage === undefined) throw notFound()
      if (stage.keyIds.length >= KEYS_MAX) {
        throw new WeirError('conflict', `A stage has at most ${KEYS_MAX} keys.`)
      }
      const last = Math.max(...stage.keyIds.map((id) => Number(id.slice(1))))
      const keyId = `k${last + 1}`
      const keyIds = [...stage.keyIds, keyId]
      if ((await updateStage(tx, ref, stage.rowVersion, { keyIds })) === undefined)
        throw somebodyElse()
      await audit(request, 'stage.key', ref, { keyId })
      await stages.publish(ref)
      reply.status(201)
      return { ref, keyId, stageKey: keyOf(ref, keyId) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/stages',
    config: { permission: 'stages:read' },
    schema: {
      summary: 'All stages with their instances and contracts',
      querystring: Type.Object(
        { state: Type.Optional(Type.Array(oneOf(STAGE_STATES), { maxItems: 8 })) },
        closed,
      ),
      response: { 200: Type.Object({ stages: Type.Array(stageSchema) }) },
    },
    handler: async (request) => {
      const isOperator = callerOf(request).role === 'operator'
      const { state } = request.query
      const [all, contracts] = await Promise.all([listStages(tx, STAGES_MAX), listContracts(tx)])
      const rows = state === undefined ? all : all.filter((row) => state.includes(row.state))
      const byStage = Map.groupBy(contracts, ({ stage }) => stage)
      return { stages: rows.map((row) => view(row, byStage.get(row.ref) ?? [], isOperator)) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/stages/:ref',
    config: { permission: 'stages:read' },
    schema: { summary: 'A stage', params: refParams, response: { 200: stageSchema } },
    handler: async (request) => {
      const stage = await getStage(tx, request.params.ref)
      if (stage === undefined) throw notFound()
      return show(stage, request)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/stages/:ref/telemetry',
    config: { permission: 'stages:measure' },
    schema: {
      summary: 'What the live instances of a stage have counted and measured, and its input',
      params: refParams,
      response: { 200: telemetrySchema },
    },
    handler: async (request) => {
      const { ref } = request.params
      if ((await getStage(tx, ref)) === undefined) throw notFound()
      return sumTelemetry(ref, instances.liveOf(ref), control.gates.all())
    },
  })

  for (const operation of OPERATIONS) {
    app.route({
      method: 'POST',
      url: `/v1/stages/:ref/${operation}`,
      config: {
        permission: 'stages:manage',
        consumes: [JSON_TYPE],
        errors: ['invalid_transition', 'conflict'],
      },
      schema: {
        summary: `Ask the instances of a stage to ${operation}`,
        params: refParams,
        response: { 202: stageSchema },
      },
      handler: async (request, reply) => {
        const stage = await getStage(tx, request.params.ref)
        if (stage === undefined) throw notFound()
        const state = nextState(stage.state, operation)
        const changed = await updateStage(tx, stage.ref, stage.rowVersion, { state })
        if (changed === undefined) throw somebodyElse()
        await audit(request, `stage.${operation}`, stage.ref, null)
        await stages.publish(stage.ref)
        reply.status(202)
        return show(changed, request)
      },
    })
  }
}

function toSettings(
  body: StageBody,
  stage: Stage | undefined,
): Omit<StageSettings, 'state' | 'keyIds'> {
  const { kind, partitions, lanes, inFlightMax, autoActivate, contract: _, ...spec } = body
  return {
    kind: kind ?? stage?.kind ?? '',
    partitions: partitions ?? stage?.partitions ?? defaults.partitions,
    lanes: inOrder(lanes ?? stage?.lanes ?? LANES),
    inFlightMax: inFlightMax ?? stage?.inFlightMax ?? defaults.inFlightMax,
    autoActivate: autoActivate ?? stage?.autoActivate ?? true,
    spec: JSON.stringify(stage === undefined ? spec : { ...JSON.parse(stage.spec), ...spec }),
  }
}

/** What is worth keeping of a registration: of contracts which they are, and no variable's value. */
function noteOf({ contract, env, ...settings }: StageBody): AuditDetail<'stage.register'> {
  return {
    ...settings,
    ...(env === undefined ? {} : { env: Object.keys(env) }),
    ...(contract === undefined
      ? {}
      : { contract: { version: contract.version, hash: contract.hash } }),
  }
}

const inOrder = (lanes: readonly Lane[]): Lane[] => LANES.filter((lane) => lanes.includes(lane))

const somebodyElse = (): WeirError =>
  new WeirError('conflict', 'The stage was changed by somebody else meanwhile.')

function lost(): never {
  throw somebodyElse()
}
