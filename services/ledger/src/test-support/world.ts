import assert from 'node:assert/strict'
import {
  deriveTicketKey,
  newUuid,
  PAYLOAD_HEADERS,
  type PayloadKind,
  type PipelineDocument,
  type Plan,
  type RunReports,
  type StageRef,
  type TaskReport,
  type TransitionRecord,
  tagFor,
} from '@weir/contracts'
import { checkPipeline, compilePlan } from '@weir/core'
import type { KafkaRecord } from '@weir/kafka'
import type { LoadedRun } from '@weir/postgres'
import { createInstances, type Instances } from '../instances.ts'
import { createPartitionFold, type PartitionFold } from '../partition-fold.ts'

export const key = deriveTicketKey(Buffer.alloc(32, 7), 'ledger', 'k1')
export const tenant = newUuid()
/** Milliseconds since the epoch. */
export const NOW = 1_800_000_000_000

/** The plan of a pipeline over the stages `a@1`, `b@1` and `c@1`. */
export function compile(document: object): Plan {
  const stages = new Map(
    ['a@1', 'b@1', 'c@1'].map((ref) => [
      ref,
      { ref: ref as StageRef, kind: null, lanes: ['normal' as const], contracts: null },
    ]),
  )
  const checked = checkPipeline(document as PipelineDocument, { stages })
  assert.deepEqual(checked.errors, [])
  return compilePlan({ tenant, pipeline: 'p', version: 1, effective: checked.effective })
}

/** A large output, or an artifact's content, of the step `a` of a plan. */
export function payloadRecord(
  { id: plan }: Plan,
  job: string,
  offset: number,
  { kind, body, digest = 'd' }: { kind: PayloadKind; body: string | Buffer; digest?: string },
): KafkaRecord {
  const claims = { tenant, job, run: 1, plan, notAfter: NOW + 60_000 }
  return {
    ...{ topic: 'weir.events', partition: 0, offset, timestamp: NOW, key: null },
    value: Buffer.from(body as string),
    headers: {
      [PAYLOAD_HEADERS.kind]: kind,
      [PAYLOAD_HEADERS.tenant]: tenant,
      [PAYLOAD_HEADERS.job]: job,
      [PAYLOAD_HEADERS.run]: '1',
      [PAYLOAD_HEADERS.plan]: claims.plan,
      [PAYLOAD_HEADERS.notAfter]: String(claims.notAfter),
      [PAYLOAD_HEADERS.tag]: `k1=${tagFor(key, claims)}`,
      [PAYLOAD_HEADERS.step]: 'a',
      [PAYLOAD_HEADERS.digest]: digest,
    },
  }
}

/** A partition of the events topic, and the rows of Postgres that a fold is given. */
export function createWorld(plan: Plan, instances: Instances = createInstances()) {
  const rows = new Map<string, LoadedRun>()
  const log: KafkaRecord[] = []
  const addJob = (job: string = newUuid()): string => {
    rows.set(job, {
      tenant,
      job,
      run: 1,
      status: 'open',
      pipeline: 'p',
      version: 1,
      planId: plan.id,
      correlationId: job,
      traceparent: null,
      submittedAt: NOW - 100,
      claimedAt: NOW - 50,
      notAfter: NOW + 60_000,
      orderingKey: null,
      cancel: null,
      lastSeq: 0,
      chunks: [],
    })
    return job
  }
  const open = (start = 0): PartitionFold =>
    createPartitionFold({
      partition: 0,
      owner: 'o',
      start,
      keys: [key],
      instances,
      load: async (keys) => ({
        runs: keys.flatMap((each) => rows.get(each.job) ?? []),
        plans: new Map([[plan.id, plan]]),
      }),
    })
  const report = (
    job: string,
    step: string,
    task: Partial<TaskReport>,
    tag?: string,
  ): KafkaRecord => {
    const claims = { tenant, job, run: 1, plan: plan.id, notAfter: NOW + 60_000 }
    const reports: RunReports = {
      ...claims,
      correlation: job,
      traceparent: '',
      tag: tag ?? `k1=${tagFor(key, claims)}`,
      step,
      tasks: [{ item: '', status: 'completed', attempt: 1, at: NOW, output: '1', ...task }],
    }
    const value: TransitionRecord = { v: 1, stage: 's', instance: 'i', runs: [reports] }
    const record = {
      topic: 'weir.events',
      partition: 0,
      offset: log.length,
      timestamp: NOW,
      key: null,
      value: Buffer.from(JSON.stringify(value)),
      headers: {},
    }
    log.push(record)
    return record
  }
  return { rows, log, addJob, open, report }
}
