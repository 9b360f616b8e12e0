import { type ChangeRecord, createTopics, DISPATCHER_KEY, type Topics } from '@weir/contracts'
import { createGates, type Gates } from '@weir/core'
import {
  type Admin,
  connectKafka,
  createAdmin,
  createProducer,
  createReader,
  type Producer,
  type Reader,
} from '@weir/kafka'
import {
  asRole,
  asTenant,
  checkRole,
  createPool,
  findApiKey,
  INSTALLATION,
  insertAudit,
  type Pool,
} from '@weir/postgres'
import {
  type Config,
  type Logger,
  type ReadyCheck,
  toKafkaConnection,
  toPostgresConnection,
} from '@weir/runtime'
import { type AuditLog, createAuditLog } from './audit/audit-log.ts'
import { type ApiKey, parseApiKey } from './auth/api-key.ts'
import { createKeyCache, type KeyCache } from './auth/key-cache.ts'
import { type Canceller, createCanceller } from './cancel/canceller.ts'
import type { controlSettings } from './config.ts'
import { createDispatcherFigures, type DispatcherFigures } from './flow/dispatcher-figures.ts'
import { createGateLog } from './flow/gate-log.ts'
import { createPathRoom, type PathRoom } from './flow/path-room.ts'
import { createRefusals, type Refusals } from './flow/refusals.ts'
import { createInputChecker, type InputChecker } from './inputs/input-checker.ts'
import { readChange } from './jobs/changes.ts'
import { createPlans, type Plans } from './jobs/plans.ts'
import { createWaiters, type Waiters } from './jobs/waiters.ts'
import { withReplication } from './kafka/replication.ts'
import { type ControlMetrics, createControlMetrics } from './metrics.ts'
import { createInstances, type Instances } from './stages/instances.ts'
import { createStageControl, type StageControl } from './stages/stage-control.ts'
import { type Admission, createAdmission } from './submit/admission.ts'
import { createAdmit, type Submit } from './submit/admit.ts'
import { createHints } from './submit/hints.ts'
import { createTargets, type Targets } from './submit/targets.ts'

export type ControlConfig = Config<typeof controlSettings>

/** What the routes work with, built once. */
export type Control = {
  readonly log: Logger
  readonly pool: Pool
  readonly producer: Producer
  readonly admin: Admin
  readonly topics: Topics
  readonly operatorKey: ApiKey
  readonly masterKey: Buffer
  readonly jaegerUrl: string | undefined
  readonly keys: KeyCache
  /** Denials and refusals; what callers do is written where they do it. */
  readonly audit: AuditLog
  readonly plans: Plans
  readonly targets: Targets
  readonly inputs: InputChecker
  readonly admission: Admission<Submit>
  /** When this instance last admitted a job of the tenant, by `performance.now()`. */
  readonly admittedAt: (tenant: string) => number | undefined
  readonly canceller: Canceller
  readonly waiters: Waiters
  readonly instances: Instances
  readonly gates: Gates
  readonly dispatcher: DispatcherFigures
  readonly refusals: Refusals
  /** For pipelines that refuse rather than queue. */
  readonly pathRoom: PathRoom
  readonly stages: StageControl
  readonly metrics: ControlMetrics
  readonly checks: readonly ReadyCheck[]
  /** Aborts when the stop begins: waiting requests and streams end then. */
  readonly closing: AbortSignal
  start(): Promise<void>
  /** Begins the stop: nothing waits any longer. */
  close(): void
  /** Ends everything; after the last request has been answered. */
  stop(): Promise<void>
}

/** Partitions of the platform's topics; they bound how many ledgers share the work. */
const EVENT_PARTITIONS = 4
const TENANTS_REMEMBERED_MAX = 10_000
const MASTER_KEY_BYTES_MIN = 32
const GATES_LOOK_MS = 1_000

/**
 * Builds everything and connects nothing; `start` does. Throws where a secret is of no use;
 * `onFatal` is told when a reader was refused for good, then the process has to end.
 */
export function createControl(
  config: ControlConfig,
  log: Logger,
  onFatal: (error: Error) => void = () => {},
): Control {
  const operatorKey = parseApiKey(config.operatorKey)
  if (operatorKey === undefined) throw new Error('WEIR_OPERATOR_KEY is not weir_<keyId>_<secret>')
  const masterKey = Buffer.from(config.masterKey, 'base64url')
  if (masterKey.length < MASTER_KEY_BYTES_MIN) {
    throw new Error(`WEIR_MASTER_KEY has less than ${MASTER_KEY_BYTES_MIN} bytes`)
  }
  const pool = createPool({
    ...toPostgresConnection(config),
    max: config.poolSize,
    applicationName: 'weir-control',
    onError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
  const kafka = connectKafka({ ...toKafkaConnection(config), clientId: 'weir-control', log })
  const topics = createTopics(config.prefix)
  const producer = createProducer({ kafka })
  const admin = withReplication(createAdmin({ kafka }), config)
  const waiters = createWaiters()
  const metrics = createControlMetrics(waiters.size)
  const instances = createInstances()
  const gates = createGates(() => performance.now())
  const gateLog = createGateLog((entry) => audit.write(INSTALLATION, entry))
  const dispatcher = createDispatcherFigures()
  const audit = createAuditLog({
    write: (tenant, entry) => insertAudit(asTenant(pool, tenant), tenant, entry),
    onNoted: (outcome) => metrics.auditNotes.inc({ outcome }),
    log,
  })
  const stages = createStageControl({ pool, producer, topics, instances, log })
  const inputs = createInputChecker()
  const closing = new AbortController()
  const admittedAt = new Map<string, number>()
  const readers: Reader[] = []
  let isStarted = false
  let gateTimer: NodeJS.Timeout | undefined

  const sendChange = (value: string) =>
    producer.send([{ topic: topics.changes, partition: 0, key: null, value }])
  /** A hint: those who wait look now and then anyway. */
  const announce = (change: ChangeRecord) => void sendChange(JSON.stringify(change)).catch(() => {})
  const hint = createHints(sendChange)
  const canceller = createCanceller({
    pool,
    announce,
    hint: createHints(sendChange, 'cancelling'),
    count: (outcome, jobs) => metrics.cancels.inc({ outcome }, jobs),
    closing: closing.signal,
  })

  const admit = createAdmit({
    pool,
    onDropped(runs) {
      metrics.drops.inc({}, runs.length)
      announce({ v: 1, kind: 'runs', runs })
    },
    onDropFailed: (error) => log.warn({ err: error }, 'a queue is longer than it is to be'),
  })

  /** How long ago a tenant was let in is how long one that is refused waits. */
  async function admitNoted(tenant: string, jobs: readonly Submit[], allOrNone: boolean) {
    const answers = await admit(tenant, jobs, allOrNone)
    if (!answers.some(({ outcome }) => outcome === 'admitted')) return answers
    admittedAt.delete(tenant)
    admittedAt.set(tenant, performance.now())
    if (admittedAt.size > TENANTS_REMEMBERED_MAX) {
      admittedAt.delete(admittedAt.keys().next().value as string)
    }
    return answers
  }

  async function start(): Promise<void> {
    await checkRole(pool, 'weir_control', {
      ...(config.postgresManaged && {
        onMayCall: (functions) =>
          log.warn({ functions }, 'the database role may call what it must not'),
      }),
    })
    await admin.createTopics(topics.platformSpecs(EVENT_PARTITIONS))
    await producer.connect()
    readers.push(
      createReader({
        kafka,
        topics: [topics.registry],
        from: 'earliest',
        onRecords: (_topic, _partition, records) => {
          for (const { key, value, timestamp } of records) {
            const name = key?.toString() ?? ''
            if (name === DISPATCHER_KEY) {
              dispatcher.take(value)
              continue
            }
            const instance = instances.take(name, value, timestamp)
            if (instance !== undefined) stages.heard(instance)
          }
        },
        onFatal,
      }),
      createReader({
        kafka,
        topics: [topics.changes],
        from: 'latest',
        onRecords: (_topic, _partition, records) => {
          for (const { value } of records) for (const job of readChange(value)) waiters.wake(job)
        },
        onFatal,
      }),
    )
    let areGatesNew = false
    const gateReader = createReader({
      kafka,
      topics: [topics.gates],
      from: 'earliest',
      onRecords: (_topic, _partition, records) => {
        for (const { key, value, timestamp } of records) {
          const name = key?.toString() ?? ''
          const heard = gates.take(name, value, areGatesNew)
          if (heard !== undefined) gateLog.take(name, heard, timestamp, areGatesNew)
        }
      },
      onCaughtUp: () => {
        areGatesNew = true
      },
      onFatal,
    })
    readers.push(gateReader)
    await Promise.all(readers.map((reader) => reader.caughtUp))
    await stages.publishAll()
    stages.start()
    gateTimer = setInterval(() => gateLog.look(gateReader.freshAtMs() ?? 0), GATES_LOOK_MS).unref()
    isStarted = true
  }

  async function stop(): Promise<void> {
    closing.abort()
    clearInterval(gateTimer)
    await stages.stop()
    await Promise.all(readers.map((reader) => reader.stop()))
    await Promise.all([producer.disconnect(), admin.disconnect(), inputs.close(), audit.stop()])
    await pool.end()
  }

  const checks: readonly ReadyCheck[] = [
    { name: 'start', check: () => (isStarted ? undefined : 'starting') },
    {
      name: 'postgres',
      check: async () => {
        await asRole(pool).query({ text: 'select 1' })
        return undefined
      },
    },
    { name: 'kafka', check: () => checkFresh(readers) },
  ]

  return {
    log,
    pool,
    producer,
    admin,
    topics,
    operatorKey,
    masterKey,
    jaegerUrl: config.jaegerUrl?.replace(/\/+$/, ''),
    keys: createKeyCache((keyId) => findApiKey(asRole(pool), keyId)),
    audit,
    plans: createPlans(pool),
    targets: createTargets(pool),
    inputs,
    admission: createAdmission<Submit>({
      admit: admitNoted,
      onAdmitted: hint,
      onGroup: (jobs) => metrics.groupJobs.observe({}, jobs),
    }),
    admittedAt: (tenant) => admittedAt.get(tenant),
    canceller,
    waiters,
    instances,
    gates,
    dispatcher,
    refusals: createRefusals(),
    pathRoom: createPathRoom(gates, dispatcher),
    stages,
    metrics,
    checks,
    closing: closing.signal,
    start,
    close: () => closing.abort(),
    stop,
  }
}

/** Each answered fetch, empty ones too, shows that the brokers answer. */
const KAFKA_FRESH_MS = 10_000

function checkFresh(readers: readonly Reader[]): string | undefined {
  const oldest = Math.min(...readers.map((reader) => reader.freshAtMs() ?? 0))
  const isFresh = readers.length > 0 && performance.now() - oldest < KAFKA_FRESH_MS
  return isFresh ? undefined : 'the brokers do not answer'
}
