import {
  type Envelope,
  encodeEnvelope,
  type Lane,
  laneOf,
  type Plan,
  type Topics,
} from '@weir/contracts'
import { inputsOf } from '@weir/core'
import type { OutRecord } from '@weir/kafka'
import type { ClaimedJob } from '@weir/postgres'
import type { TicketOffice } from './ticket-office.ts'

export type FirstMessagesOptions = {
  readonly topics: Topics
  readonly tickets: TicketOffice
  /** The lane in which a stage takes messages of this one. */
  readonly laneOf: (stage: string, wanted: Lane) => Lane
}

/** A claimed job, as far as its first messages are made of it. */
export type Dispatchable = Omit<ClaimedJob, 'band' | 'virtualFinish'>

/** The context that a message carries: that of its own span, where the job's trace is recorded. */
export type ContextOf = (topic: string, messageId: string) => string

/**
 * The records with which a run starts. The same claim always gives the same ids, so producing it
 * again after a takeover does no harm.
 */
export function firstMessages(
  options: FirstMessagesOptions,
  plan: Plan,
  planOffset: number,
  job: Dispatchable,
  contextOf: ContextOf,
): OutRecord[] {
  const { topics, tickets } = options
  const { tenant, run, notAfter } = job
  const ticket = tickets.write(plan, { tenant, job: job.job, run, plan: plan.id, notAfter })
  const records: OutRecord[] = []
  for (const message of inputsOf(plan, job.job, run, job.input)) {
    const lane = options.laneOf(message.target.stage, laneOf(job.priority))
    const topic = topics.input(message.target.stage, lane)
    const envelope: Envelope = {
      id: message.id,
      cause: '',
      tenant,
      job: job.job,
      correlation: job.correlationId,
      traceparent: contextOf(topic, message.id),
      ticket,
      meta: {
        v: 1,
        kind: message.kind,
        run,
        plan: plan.id,
        planOffset,
        step: message.target.name,
        edge: message.edge.index,
        item: message.item,
        counts: message.counts,
        attempt: 1,
        priority: job.priority,
        createdAt: job.submittedAt,
        notAfter,
      },
    }
    records.push({
      topic,
      key: message.key,
      value: message.payload,
      headers: encodeEnvelope(envelope),
    })
  }
  return records
}
