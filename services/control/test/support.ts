import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createTopics, newUuid } from '@weir/contracts'
import { connectKafka, createAdmin, createProducer } from '@weir/kafka'
import { createLogger, readConfig } from '@weir/runtime'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { type AuditRow, assertAudited } from '../../../test/support/audit-check.ts'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { buildApp } from '../src/app.ts'
import { controlSettings } from '../src/config.ts'
import { type Control, createControl } from '../src/control.ts'
import { stopControl } from '../src/stop.ts'

export type Answer = {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look at bodies of every shape
  readonly body: any
  readonly text: string
}

export type CallOptions = {
  readonly key?: string
  readonly body?: unknown
  /** Sent as it is. */
  readonly raw?: string | Buffer
  readonly type?: string
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
}

export type Instance = {
  readonly url: string
  readonly control: Control
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
  stop(): Promise<void>
}

export type Installation = {
  readonly db: TestDatabase
  readonly operator: string
  readonly prefix: string
  /** What a control process of this installation reads. */
  readonly env: Readonly<Record<string, string>>
  /** One more control instance of the same installation. */
  start(env?: Record<string, string>): Promise<Instance>
  stop(): Promise<void>
}

/** A database and a set of topics of its own; control instances are real, on real ports. */
export async function createInstallation(): Promise<Installation> {
  const brokers = process.env.WEIR_TEST_KAFKA
  if (!brokers) throw new Error('WEIR_TEST_KAFKA must name a broker (host:port) for this test')
  const db = await cloneDatabase()
  const prefix = `control-${randomBytes(4).toString('hex')}`
  const operator = `weir_op${randomBytes(4).toString('hex')}_${randomBytes(32).toString('hex')}`
  const masterKey = randomBytes(32).toString('base64url')
  const running: Instance[] = []
  const settings = {
    WEIR_KAFKA_BROKERS: brokers,
    WEIR_PREFIX: prefix,
    WEIR_POSTGRES_URL: db.url('weir_control'),
    WEIR_MASTER_KEY: masterKey,
    WEIR_OPERATOR_KEY: operator,
    WEIR_HTTP_PORT: '0',
  }

  async function start(env: Record<string, string> = {}): Promise<Instance> {
    const config = readConfig(controlSettings, { ...settings, ...env })
    const level = process.env.WEIR_LOG_LEVEL ?? 'fatal'
    const control = createControl(config, createLogger({ service: 'control', level }))
    const app = await buildApp(control)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    await control.start()
    const checkAnswer = createAnswerCheck(app.swagger() as unknown as Document)
    const instance: Instance = {
      url,
      control,
      call: async (method, path, options = {}) => {
        const answer = await call(url, method, path, options)
        checkAnswer(method, path, answer)
        return answer
      },
      stop: () => stopControl(app, control),
    }
    running.push(instance)
    return instance
  }

  return {
    db,
    operator,
    prefix,
    env: settings,
    start,
    stop: async () => {
      await Promise.all(running.map((instance) => instance.stop()))
      const audited = await db.admin<AuditRow>(
        'select tenant_id as tenant, action, decision, detail from weir.audit_log',
      )
      await db.drop()
      const admin = createAdmin({
        kafka: connectKafka({ brokers: brokers.split(','), clientId: 't' }),
      })
      const topics = createTopics(prefix)
      await admin.deleteTopics(topics.platformSpecs(4).map(({ topic }) => topic)).catch(() => {})
      await admin.disconnect()
      for (const row of audited) assertAudited(row)
    },
  }
}

async function call(
  url: string,
  method: string,
  path: string,
  { key, body, raw, type, headers = {}, signal }: CallOptions,
): Promise<Answer> {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(payload === undefined ? {} : { 'content-type': type ?? 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { body: payload as string }),
    ...(signal === undefined ? {} : { signal }),
  })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get('content-type') ?? '')
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: isJson ? JSON.parse(text) : undefined,
  }
}

type Document = {
  readonly paths: Record<string, Record<string, { responses: Record<string, unknown> }>>
  readonly components: unknown
}

/** Fails where an answer has a status or a shape that the OpenAPI document does not tell of. */
function createAnswerCheck(document: Document) {
  const ajv = new Ajv2020({ strict: false })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'openapi', ...document })
  const paths = Object.keys(document.paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`),
  }))
  const point = (...parts: string[]) =>
    parts
      .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
      .join('/')

  return (method: string, url: string, { status, headers, body }: Answer) => {
    const path = url.split('?', 1)[0] as string
    // The most literal one wins, as in the router.
    const found = paths
      .filter(({ pattern }) => pattern.test(path))
      .sort((a, b) => a.path.split('{').length - b.path.split('{').length)
      .find(({ path }) => document.paths[path]?.[method.toLowerCase()] !== undefined)
    if (found === undefined) return
    const { responses } = document.paths[found.path]?.[method.toLowerCase()] ?? { responses: {} }
    const response = responses[status] as { content?: Record<string, unknown> } | undefined
    assert.ok(
      response,
      `${method} ${found.path} answers ${status}, which is not declared: ${JSON.stringify(body)}`,
    )
    const type = (headers.get('content-type') ?? '').split(';', 1)[0] as string
    if (!/json/.test(type)) return
    assert.ok(response.content?.[type], `${method} ${found.path} answers ${status} as ${type}`)
    const pointer = point(
      'paths',
      found.path,
      method.toLowerCase(),
      'responses',
      String(status),
      'content',
      type,
      'schema',
    )
    const validate =
      ajv.getSchema(`openapi#/${pointer}`) ?? ajv.compile({ $ref: `openapi#/${pointer}` })
    assert.ok(
      validate(body),
      `${method} ${found.path} ${status}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(body)}`,
    )
  }
}

export type Tenant = { readonly id: string; readonly name: string; readonly key: string }

/** A tenant with its admin key. */
export async function addTenant(
  installation: Installation,
  instance: Instance,
  quotas: Record<string, number> = {},
): Promise<Tenant> {
  const name = `tenant-${randomBytes(4).toString('hex')}`
  const answer = await instance.call('POST', '/v1/tenants', {
    key: installation.operator,
    body: { name, quotas },
  })
  assert.equal(answer.status, 201, answer.text)
  return { id: answer.body.id, name, key: answer.body.adminKey }
}

export async function addKey(instance: Instance, tenant: Tenant, body: object): Promise<string> {
  const answer = await instance.call('POST', '/v1/keys', { key: tenant.key, body })
  assert.equal(answer.status, 201, answer.text)
  return answer.body.key
}

/** A stage as it would be with an instance: registered and active. */
export async function addStage(installation: Installation, instance: Instance, ref: string) {
  const answer = await instance.call('PUT', `/v1/stages/${ref}`, {
    key: installation.operator,
    body: { partitions: 1, lanes: ['normal'] },
  })
  assert.equal(answer.status, 201, answer.text)
  await installation.db.admin(`update weir.stages set state = 'active' where ref = $1`, [ref])
}

export async function publish(instance: Instance, tenant: Tenant, name: string, document: object) {
  const answer = await instance.call('PUT', `/v1/pipelines/${name}`, {
    key: tenant.key,
    body: document,
  })
  assert.equal(answer.status, 201, answer.text)
  return answer.body
}

/** The smallest pipeline, of the stage `a@1`. */
export const oneStep = { steps: { a: { stage: 'a@1' } } }

/** An installation with one instance and a tenant, whose one pipeline is `oneStep`. */
export async function createWithPipeline(
  name: string,
): Promise<{ installation: Installation; api: Instance; acme: Tenant }> {
  const installation = await createInstallation()
  const api = await installation.start()
  const acme = await addTenant(installation, api)
  await addStage(installation, api, 'a@1')
  await publish(api, acme, name, oneStep)
  return { installation, api, acme }
}

/** What dispatcher and ledger would write, by the hand of the superuser, who may. */
export function createLedger(installation: Installation, instance: Instance) {
  const { db } = installation
  return {
    claim: async (job: string, at = new Date()) => {
      await db.admin(
        `with q as (delete from weir.job_queue where job_id = $1 returning *)
        insert into weir.in_flight (tenant_id, job_id, run, plan_id, pipeline, ordering_key, weight,
          claimed_at, not_after)
        select tenant_id, job_id, run, plan_id, pipeline, ordering_key, weight, $2,
          $2::timestamptz + interval '1 day' from q`,
        [job, at],
      )
    },
    log: async (job: string, events: { seq: number }[]) => {
      await db.admin(
        `insert into weir.job_log (tenant_id, job_id, from_seq, to_seq, run, events)
        select tenant_id, id, $2, $3, run, $4 from weir.jobs where id = $1`,
        [job, events[0]?.seq, events.at(-1)?.seq, JSON.stringify(events)],
      )
    },
    end: async (job: string, events: { seq: number }[], status = 'completed') => {
      await db.admin(
        `with l as (
          insert into weir.job_log (tenant_id, job_id, from_seq, to_seq, run, events)
          select tenant_id, id, $2, $3, run, $4 from weir.jobs where id = $1
        ), f as (delete from weir.in_flight where job_id = $1)
        update weir.jobs set status = $5, finished_at = now(), last_seq = $3 where id = $1`,
        [job, events[0]?.seq, events.at(-1)?.seq, JSON.stringify(events), status],
      )
    },
    announce: async (job: string, seq: number, ended: boolean) => {
      const { producer, topics } = instance.control
      const value = JSON.stringify({ v: 1, kind: 'runs', runs: [{ job, run: 1, seq, ended }] })
      await producer.send([{ topic: topics.changes, partition: 0, key: null, value }])
    },
  }
}

/** Events of a run with one step `a`, from number 1 on. */
export function eventsOfRun(submittedAt: string, output: unknown = { ok: true }) {
  const at = new Date().toISOString()
  const text = JSON.stringify(output)
  return [
    { seq: 1, run: 1, type: 'job.queued', at: submittedAt, data: {} },
    { seq: 2, run: 1, type: 'job.dispatched', at, data: {} },
    {
      seq: 3,
      run: 1,
      type: 'task.completed',
      at,
      step: 'a',
      attempt: 1,
      stage: 'a@1',
      data: { output: text, outputBytes: text.length, digest: 'd', waitMs: 1, workMs: 2 },
    },
    { seq: 4, run: 1, type: 'job.completed', at, data: {} },
  ]
}

/** Waits until a condition holds, at most 30 s: a process takes many to start on a busy machine. */
export async function until<T>(
  look: () => Promise<T | undefined | false>,
  what: string,
): Promise<T> {
  const end = performance.now() + 30_000
  for (;;) {
    const found = await look()
    if (found) return found
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export { createProducer, newUuid }
