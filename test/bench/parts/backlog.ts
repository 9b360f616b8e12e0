import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  createTopics,
  deriveTicketKey,
  encodeEnvelope,
  formatTicketKey,
  newUuid,
  type Plan,
  type PlanStep,
  type StageRecord,
  stageKey,
  writeTicket,
} from '@weir/contracts'
import { checkPipeline, compilePlan, outputsOf, stepOf } from '@weir/core'
import {
  type Admin,
  connectKafka,
  createAdmin,
  createProducer,
  type OutRecord,
  type Producer,
} from '@weir/kafka'
import { baseEnv } from '../../../deploy/local/base-env.ts'
import { waitUntil } from '../../../deploy/local/wait.ts'
import { makeItem } from '../item.ts'
import { round } from '../quantiles.ts'
import { type Cost, startMeter } from '../sample.ts'
import { definePass } from '../stages/pass.ts'

const partitions = 4
const chunk = 2_000
const drainMaxMs = 180_000
const pollMs = 20
const silent = { debug() {}, info() {}, warn() {}, error() {} }

export type BacklogOrder = {
  readonly brokers: string
  /** Messages that compile the code before anything counts. */
  readonly warmUp: number
  readonly messages: number
}

export type BacklogSample = Cost & {
  readonly messages: number
  readonly perSecond: number
  /** Microseconds of CPU that the one process used for a message. */
  readonly cpuUs: number
}

type Site = { readonly admin: Admin; readonly producer: Producer }
/** A stage process whose whole input is there before it starts. */
type Subject = { readonly child: ChildProcess; readonly output: string }

/**
 * What a message costs a stage that has a backlog, one process alone with the broker: there each
 * side works in batches as large as it makes them, so batches and not the machine are compared.
 */
export function measureBacklog(side: 'weir' | 'raw', order: BacklogOrder): Promise<BacklogSample> {
  return withSite(order.brokers, async (site) => {
    const { child, output } = await (side === 'weir' ? startWeirStage : startRawStage)(site, order)
    try {
      const reach = (count: number) => untilWritten(site.admin, child, output, count)
      const from = await reach(order.warmUp)
      const meter = startMeter({ stage: child.pid ?? 0 })
      const startedAt = performance.now()
      const to = await reach(order.warmUp + order.messages)
      const seconds = (performance.now() - startedAt) / 1_000
      const cost = meter.stop(seconds)
      const messages = to - from
      return {
        ...cost,
        messages,
        perSecond: round(messages / seconds),
        cpuUs: round(((cost.cpuMs.stage ?? 0) * 1_000) / messages),
      }
    } finally {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      await gone
    }
  })
}

async function withSite<Result>(
  brokers: string,
  work: (site: Site) => Promise<Result>,
): Promise<Result> {
  const kafka = connectKafka({ brokers: brokers.split(','), clientId: 'backlog', log: silent })
  const [admin, producer] = [createAdmin({ kafka }), createProducer({ kafka })]
  try {
    return await work({ admin, producer })
  } finally {
    await producer.disconnect()
    await admin.disconnect()
  }
}

async function untilWritten(
  admin: Admin,
  child: ChildProcess,
  topic: string,
  count: number,
): Promise<number> {
  let written = 0
  const isThere = await waitUntil(
    async () => {
      if (child.exitCode !== null) throw new Error('backlog: the stage has ended')
      const ends = await admin.fetchEndOffsets([topic])
      written = ends.reduce((sum, { offset }) => sum + offset, 0)
      return written >= count
    },
    { timeoutMs: drainMaxMs, intervalMs: pollMs },
  )
  if (!isThere) throw new Error(`backlog: ${written} of ${count} messages came through`)
  return written
}

async function fill(
  { producer }: Site,
  count: number,
  make: (n: number) => readonly OutRecord[],
): Promise<void> {
  for (let at = 0; at < count; at += chunk) {
    const records: OutRecord[] = []
    for (let n = at; n < Math.min(count, at + chunk); n += 1) records.push(...make(n))
    await producer.send(records)
  }
}

let sites = 0

async function startRawStage(site: Site, order: BacklogOrder): Promise<Subject> {
  sites += 1
  const [source, output] = ['in', 'out'].map((end) => `backlog.${process.pid}.${sites}.${end}`)
  if (source === undefined || output === undefined) throw new Error('no topics')
  await site.admin.createTopics([source, output].map((topic) => ({ topic, partitions })))
  await fill(site, order.warmUp + order.messages, (n) => [
    { topic: source, key: String(n), value: JSON.stringify(makeItem(n, 0)) },
  ])
  const child = fork(join(import.meta.dirname, '../baseline/stage.ts'), [source, output], {
    env: { ...baseEnv(), BENCH_BROKERS: order.brokers, NODE_NO_WARNINGS: '1' },
    execArgv: [],
  })
  return { child, output }
}

async function startWeirStage(site: Site, order: BacklogOrder): Promise<Subject> {
  sites += 1
  const topics = createTopics(`backlog-${process.pid}-${sites}`)
  const stages = ['bench-a', 'bench-b', 'bench-c'].map(definePass)
  const specs = stages.flatMap(({ ref }) => topics.stageSpecs(ref, partitions, ['normal']))
  await site.admin.createTopics([...topics.platformSpecs(partitions), ...specs])
  const master = randomBytes(32)
  const keyOf = (holder: string) => deriveTicketKey(master, holder, 'k1')
  const known = stages.map(
    ({ ref }) => [ref, { ref, kind: null, lanes: ['normal' as const], contracts: null }] as const,
  )
  const document = {
    steps: {
      a: { stage: 'bench-a@1' },
      b: { stage: 'bench-b@1', after: ['a'] },
      c: { stage: 'bench-c@1', after: ['b'] },
    },
  }
  const { effective } = checkPipeline(document, { stages: new Map(known) })
  const tenant = newUuid()
  const plan: Plan = compilePlan({ tenant, pipeline: 'backlog', version: 1, effective })
  const [planOffset = 0] = await site.producer.send([
    { topic: topics.plans, key: plan.id, value: JSON.stringify(plan) },
  ])
  await publishStages(site, topics.control, stages)
  const group = topics.stageGroup('bench-b@1')
  const input = topics.input('bench-b@1', 'normal')
  await site.admin.commitAsAdmin(
    group,
    Array.from({ length: partitions }, (_, partition) => ({ topic: input, partition, offset: 0 })),
  )
  const holders = [...stages.map(({ ref }) => ref as string), 'ledger'].map(keyOf)
  const step = stepOf(plan, 'a') as PlanStep
  const createdAt = Date.now()
  const notAfter = createdAt + 3_600_000
  await fill(site, order.warmUp + order.messages, (n) => {
    const job = newUuid()
    const ticket = writeTicket(holders, { tenant, job, run: 1, plan: plan.id, notAfter })
    const source = { plan, step, job, run: 1, item: '', counts: [] }
    const output = JSON.stringify(makeItem(n, 0))
    return [...outputsOf(source, { status: 'ok', output, taken: null })].map((message) => ({
      topic: input,
      key: message.key,
      value: message.payload,
      headers: encodeEnvelope({
        id: message.id,
        cause: message.id,
        tenant,
        job,
        correlation: newUuid(),
        traceparent: `00-${job.replaceAll('-', '')}-${job.slice(-12)}0000-00`,
        ticket,
        meta: {
          v: 1,
          kind: message.kind,
          run: 1,
          plan: plan.id,
          planOffset,
          step: message.target.name,
          edge: message.edge.index,
          item: '',
          counts: [],
          attempt: 1,
          priority: 128,
          createdAt,
          notAfter,
        },
      }),
    }))
  })
  const child = fork(join(import.meta.dirname, '../stages/pass-b.ts'), [], {
    env: {
      ...baseEnv(),
      WEIR_KAFKA_BROKERS: order.brokers,
      WEIR_PREFIX: topics.prefix,
      WEIR_STAGE_KEY: formatTicketKey(keyOf('bench-b@1')),
      WEIR_HTTP_PORT: '0',
      WEIR_LOG_LEVEL: 'warn',
      WEIR_TRACE_RATIO: '0.01',
    },
    execArgv: ['--import', '@weir/runtime/telemetry'],
  })
  return { child, output: topics.input('bench-c@1', 'normal') }
}

async function publishStages(
  { producer }: Site,
  topic: string,
  stages: readonly ReturnType<typeof definePass>[],
): Promise<void> {
  const records = stages.map(({ ref, version, contracts }) => {
    const record: StageRecord = {
      v: 1,
      ref,
      state: 'active',
      rowVersion: 1,
      lanes: ['normal'],
      inFlightMax: 100_000,
      accepted: { [`${version}/${contracts.hash}`]: true },
      keyIds: ['k1'],
    }
    return { topic, key: stageKey(ref), value: JSON.stringify(record) }
  })
  await producer.send(records)
}
