import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import {
  createTopics,
  deriveTicketKey,
  type Envelope,
  encodeEnvelope,
  type FenceRecord,
  fenceKey,
  formatTicketKey,
  type InstanceRecord,
  type JobId,
  type Lane,
  laneOf,
  newUuid,
  type PipelineDocument,
  type Plan,
  type RunReports,
  type StageRecord,
  type StageState,
  stageKey,
  type TaskReport,
  type TicketKey,
  type TransitionRecord,
  writeTicket,
} from '@weir/contracts'
import { checkPipeline, compilePlan, inputsOf } from '@weir/core'
import {
  type Admin,
  connectKafka,
  createAdmin,
  createProducer,
  createReader,
  type KafkaRecord,
  type Producer,
} from '@weir/kafka'
import { createLogger } from '@weir/runtime'
import type { Stage } from '@weir/sdk'
import { type StageInstance, type StageOptions, startStage } from '../src/start-stage.ts'

export type Report = { readonly run: RunReports; readonly task: TaskReport }

export type JobOptions = {
  readonly tenant?: string
  readonly priority?: number
  readonly notAfterMs?: number
  readonly run?: number
  readonly job?: string
  readonly traceparent?: string
}

const TENANT = newUuid()
const DEADLINE_MS = 30_000

export async function until(
  what: string,
  condition: () => boolean,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const endAtMs = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > endAtMs) throw new Error(`did not happen in time: ${what}`)
    await pause(10)
  }
}

/**
 * A small installation of its own: topics under a prefix, control and dispatcher played by the test,
 * everything that stages say collected.
 */
export async function openInstallation(
  t: TestContext,
  stages: readonly Stage[],
  { partitions = 2 }: { readonly partitions?: number } = {},
) {
  const brokers = process.env.WEIR_TEST_KAFKA
  if (!brokers) throw new Error('WEIR_TEST_KAFKA must name a broker (host:port) for this test')
  const kafka = connectKafka({ brokers: brokers.split(','), clientId: 'engine-test' })
  const prefix = `engine-test-${newUuid().slice(-12)}`
  const topics = createTopics(prefix)
  const admin: Admin = createAdmin({ kafka })
  const producer: Producer = createProducer({ kafka })
  const master = randomBytes(32)
  const log = createLogger({ service: 'test', level: process.env.WEIR_LOG_LEVEL ?? 'error' })
  const lanes: readonly Lane[] = ['high', 'normal']
  const keyOf = (holder: string): TicketKey => deriveTicketKey(master, holder, 'k1')
  const specs = [
    ...topics.platformSpecs(2),
    ...stages.flatMap(({ ref }) => topics.stageSpecs(ref, partitions, lanes)),
  ]
  await admin.createTopics(specs)
  for (const { ref } of stages) {
    const offsets = topics
      .stageSpecs(ref, partitions, lanes)
      .flatMap(({ topic }) =>
        Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })),
      )
    await admin.commitAsAdmin(topics.stageGroup(ref), offsets)
  }

  const reports: Report[] = []
  const deadLetters: KafkaRecord[] = []
  const instances = new Map<string, InstanceRecord>()
  const payloads: KafkaRecord[] = []
  let runsOpen: StageInstance[] = []

  const readers = [
    createReader({
      kafka,
      topics: [topics.events],
      from: 'earliest',
      maxWaitMs: 500,
      onRecords(_topic, _partition, records) {
        for (const record of records) {
          if (record.headers['weir-payload'] !== undefined) {
            payloads.push(record)
            continue
          }
          const value = JSON.parse(String(record.value)) as TransitionRecord
          for (const run of value.runs) for (const task of run.tasks) reports.push({ run, task })
        }
      },
    }),
    createReader({
      kafka,
      topics: [topics.deadLetters],
      from: 'earliest',
      maxWaitMs: 500,
      onRecords: (_topic, _partition, records) => void deadLetters.push(...records),
    }),
    createReader({
      kafka,
      topics: [topics.registry],
      from: 'earliest',
      maxWaitMs: 500,
      onRecords(_topic, _partition, records) {
        for (const { key, value } of records) {
          const id = String(key)
          if (value === null) instances.delete(id)
          else instances.set(id, JSON.parse(String(value)) as InstanceRecord)
        }
      },
    }),
  ]

  t.after(async () => {
    await Promise.all(runsOpen.map((instance) => instance.stop()))
    runsOpen = []
    await Promise.all(readers.map((reader) => reader.stop()))
    await producer.disconnect()
    await admin.deleteTopics(specs.map(({ topic }) => topic))
    await admin.disconnect()
  })

  let rowVersion = 0
  const publishStage = async (
    stage: Stage,
    state: StageState = 'active',
    accepted: true | string = true,
  ) => {
    rowVersion += 1
    const record: StageRecord = {
      v: 1,
      ref: stage.ref,
      state,
      rowVersion,
      lanes,
      inFlightMax: 1_000,
      accepted: { [`${stage.version}/${stage.contracts.hash}`]: accepted },
      keyIds: ['k1'],
    }
    await producer.send([
      { topic: topics.control, key: stageKey(stage.ref), value: JSON.stringify(record) },
    ])
  }
  for (const stage of stages) await publishStage(stage)

  const planOffsets = new Map<string, number>()

  const compile = (document: PipelineDocument, tenant = TENANT): Plan => {
    const known = stages.map(
      ({ ref }) => [ref, { ref, kind: null, lanes, contracts: null }] as const,
    )
    const { errors, effective } = checkPipeline(document, { stages: new Map(known) })
    if (errors.length > 0) throw new Error(JSON.stringify(errors))
    return compilePlan({ tenant, pipeline: 'test', version: 1, effective })
  }

  const publish = async (document: PipelineDocument, tenant = TENANT): Promise<Plan> => {
    const plan = compile(document, tenant)
    const value = JSON.stringify(plan)
    const [offset] = await producer.send([{ topic: topics.plans, key: plan.id, value }])
    planOffsets.set(plan.id, offset as number)
    return plan
  }

  /** The records with which a run starts. */
  const firstMessages = (plan: Plan, input: unknown, options: JobOptions = {}) => {
    const { job = newUuid() as JobId, run = 1, priority = 128 } = options
    const createdAt = Date.now()
    const notAfter = createdAt + (options.notAfterMs ?? 3_600_000)
    const holders = [...new Set(plan.steps.map(({ stage }) => stage as string)), 'ledger']
    const claims = { tenant: plan.tenant, job, run, plan: plan.id, notAfter }
    const ticket = writeTicket(holders.map(keyOf), claims)
    const records = [...inputsOf(plan, job, run, JSON.stringify(input))].map((message) => {
      const envelope: Envelope = {
        id: message.id,
        cause: '',
        tenant: plan.tenant,
        job,
        correlation: `corr-${job}`,
        traceparent:
          options.traceparent ??
          `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`,
        ticket,
        meta: {
          v: 1,
          kind: message.kind,
          run,
          plan: plan.id,
          planOffset: planOffsets.get(plan.id) ?? 0,
          step: message.target.name,
          edge: message.edge.index,
          item: message.item,
          counts: message.counts,
          attempt: 1,
          priority,
          createdAt,
          notAfter,
        },
      }
      return {
        topic: topics.input(message.target.stage, laneOf(priority)),
        key: message.key,
        value: message.payload as string | null,
        headers: encodeEnvelope(envelope),
      }
    })
    return { job, notAfter, records }
  }

  const submit = async (plan: Plan, input: unknown, options: JobOptions = {}): Promise<string> => {
    const { job, records } = firstMessages(plan, input, options)
    await producer.send(records)
    return job
  }

  const fence = async (job: string, run = 1) => {
    const record: FenceRecord = {
      v: 1,
      job,
      run,
      reason: 'cancelled',
      notAfter: Date.now() + 3_600_000,
    }
    const [offset] = await producer.send([
      { topic: topics.control, key: fenceKey(job, run), value: JSON.stringify(record) },
    ])
    return offset as number
  }

  const start = (stage: Stage, options: Partial<StageOptions> = {}): StageInstance => {
    const instance = startStage(stage, {
      kafka,
      keys: [keyOf(stage.ref)],
      prefix,
      log,
      graceMs: 5_000,
      onFatal: (error) => log.error({ err: error }, 'fatal'),
      ...options,
    })
    runsOpen.push(instance)
    return instance
  }

  /** Reports of a step in the order in which they were written. */
  const reportsOf = (job: string, step?: string): TaskReport[] =>
    reports
      .filter(({ run }) => run.job === job && (step === undefined || run.step === step))
      .map(({ task }) => task)

  const untilReported = async (job: string, step: string, count = 1): Promise<TaskReport[]> => {
    await until(
      `${count} reports of ${step}`,
      () =>
        reportsOf(job, step).filter(({ status }) => status !== 'retry' && status !== 'started')
          .length >= count,
    )
    return reportsOf(job, step)
  }

  return {
    kafka,
    admin,
    topics,
    producer,
    prefix,
    brokers,
    reports,
    payloads,
    deadLetters,
    instances,
    compile,
    publish,
    publishStage,
    firstMessages,
    submit,
    fence,
    start,
    reportsOf,
    untilReported,
    keyTextOf: (ref: string) => formatTicketKey(keyOf(ref)),
    async ready(...instances: readonly StageInstance[]) {
      await Promise.all(instances.map((instance) => instance.ready))
    },
  }
}

export type Installation = Awaited<ReturnType<typeof openInstallation>>
