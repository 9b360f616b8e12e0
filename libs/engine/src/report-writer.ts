import {
  findTag,
  limits,
  PAYLOAD_HEADERS,
  type PayloadKind,
  type RunReports,
  type TaskReport,
  type Topics,
  type TransitionRecord,
} from '@weir/contracts'
import type { Reported } from '@weir/core'
import { type OutRecord, type Producer, partitionFor } from '@weir/kafka'

/** `undefined` when it is in the log; else why it is not known to be. */
export type Done = (error: Error | undefined) => void

/**
 * Reports of tasks on their way to `weir.events`: one record per partition and flush. A flush goes
 * out at once when none is under way; what comes meanwhile is collected for the next, grouped by run
 * and step.
 */
export type ReportWriter = {
  /**
   * `traceparent`: of the task's span. `content`: of the artifact that the report is about; it goes
   * right before it.
   */
  add(reported: Reported, traceparent: string, done: Done, content?: Buffer): void
}

export type ReportWriterOptions = {
  readonly producer: Producer
  readonly topics: Topics
  readonly stage: string
  readonly instance: string
  /** Number of partitions of `weir.events`. */
  readonly partitions: number
}

/** A record stays well below the topic's limit; a single large report still goes, alone. */
const RECORD_MAX_BYTES = 512 * 1024
/** What most events stay below; a record may be larger by what a few are above it. */
const EVENT_BYTES = 512

type Group = { readonly head: Omit<RunReports, 'tasks' | 'traceparent'>; tasks: TaskReport[] }
type Draft = { readonly groups: Map<string, Group & { traceparent: string }>; bytes: number }

export function createReportWriter(options: ReportWriterOptions): ReportWriter {
  const { producer, topics, partitions } = options
  let records: OutRecord[] = []
  let drafts = new Map<number, Draft>()
  let waiting: Done[] = []
  let isUnderWay = false

  const close = (partition: number, draft: Draft) => {
    const runs: RunReports[] = []
    for (const { head, traceparent, tasks } of draft.groups.values()) {
      runs.push({ ...head, traceparent, tasks })
    }
    const { stage, instance } = options
    const value: TransitionRecord = { v: 1, stage, instance, runs }
    const key = runs[0]?.job ?? ''
    records.push({ topic: topics.events, partition, key, value: JSON.stringify(value) })
    drafts.delete(partition)
  }

  const flush = () => {
    if (waiting.length === 0) {
      isUnderWay = false
      return
    }
    for (const [partition, draft] of drafts) close(partition, draft)
    const [sent, told] = [records, waiting]
    records = []
    waiting = []
    drafts = new Map()
    const settle = (error: Error | undefined) => {
      for (const done of told) done(error)
      flush()
    }
    producer.post(sent, settle)
  }

  return {
    add({ envelope, step, report }, traceparent, done, content) {
      const { job, meta } = envelope
      const partition = partitionFor(job, partitions)
      let bytes = 300 + (report.took?.length ?? 0) * 40 + (report.missing?.length ?? 0) * 16
      let kept = report
      if (report.event !== undefined) bytes += EVENT_BYTES
      if (content !== undefined) {
        const payload = {
          kind: 'artifact',
          digest: report.artifact?.digest ?? '',
          value: content,
        } as const
        records.push(payloadRecord(topics, partition, { envelope, step, report }, payload))
      }
      if (report.output !== undefined) {
        if ((report.outputBytes ?? 0) > limits.inlineOutputBytes) {
          const payload = {
            kind: 'output',
            digest: report.digest ?? '',
            value: report.output,
          } as const
          records.push(payloadRecord(topics, partition, { envelope, step, report }, payload))
          const { output: _output, ...rest } = report
          kept = rest
        } else bytes += report.output.length
      }
      let draft = drafts.get(partition)
      if (draft !== undefined && draft.bytes + bytes > RECORD_MAX_BYTES) {
        close(partition, draft)
        draft = undefined
      }
      if (draft === undefined) {
        draft = { groups: new Map(), bytes: 0 }
        drafts.set(partition, draft)
      }
      draft.bytes += bytes
      const key = `${job}/${meta.run}/${step.name}`
      const group = draft.groups.get(key)
      if (group === undefined) {
        const head = {
          tenant: envelope.tenant,
          job,
          run: meta.run,
          plan: meta.plan,
          notAfter: meta.notAfter,
          correlation: envelope.correlation,
          tag: ledgerTag(envelope.ticket),
          step: step.name,
        }
        draft.groups.set(key, { head, traceparent, tasks: [kept] })
      } else {
        group.tasks.push(kept)
        group.traceparent = traceparent
      }
      waiting.push(done)
      if (isUnderWay) return
      isUnderWay = true
      // The turn's other reports go in the same record.
      queueMicrotask(flush)
    },
  }
}

/** The ledger's tag, as it stands in reports. */
function ledgerTag(ticket: string): string {
  const found = findTag(ticket, 'ledger')
  return found === undefined ? '' : `${found.keyId}=${found.tag}`
}

type Payload = {
  readonly kind: PayloadKind
  readonly digest: string
  readonly value: string | Buffer
}

function payloadRecord(
  topics: Topics,
  partition: number,
  reported: Reported,
  { kind, digest, value }: Payload,
): OutRecord {
  const { envelope, step, report } = reported
  const { job, meta, tenant } = envelope
  return {
    topic: topics.events,
    partition,
    key: job,
    value,
    headers: {
      [PAYLOAD_HEADERS.kind]: kind,
      [PAYLOAD_HEADERS.tenant]: tenant,
      [PAYLOAD_HEADERS.job]: job,
      [PAYLOAD_HEADERS.run]: String(meta.run),
      [PAYLOAD_HEADERS.plan]: meta.plan,
      [PAYLOAD_HEADERS.notAfter]: String(meta.notAfter),
      [PAYLOAD_HEADERS.tag]: ledgerTag(envelope.ticket),
      [PAYLOAD_HEADERS.step]: step.name,
      [PAYLOAD_HEADERS.item]: report.item,
      [PAYLOAD_HEADERS.digest]: digest,
    },
  }
}
