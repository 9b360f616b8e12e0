import type { JobEvent, Plan } from '@weir/contracts'
import { type JobView, projectJob, type WaitingFor } from '@weir/core'
import type { Job, JobSummary } from '@weir/postgres'
import { parseTraceparent } from '@weir/runtime'
import { toTime, toTimeOrNull } from '../http/times.ts'

export type ViewOptions = {
  /** False for those who may not see payloads: no input, result or output. */
  readonly payloads: boolean
  readonly outputs: boolean
  readonly input: boolean
  /** JSON text of an output that stands outside of the log. */
  readonly readOutput?: (step: string, item: string, digest: string) => string | undefined
  /** Why a queued job does not move. */
  readonly waitingFor?: Waiting | null
  readonly traceUrl?: string | undefined
}

export type Waiting =
  | WaitingFor
  | {
      readonly kind: 'quota' | 'limit' | 'stage_not_ready' | 'gate'
      readonly detail: string
      readonly stage?: string
    }

/** The job as the API answers it, from its rows, its events and its plan. */
export function viewJob(job: Job, events: readonly JobEvent[], plan: Plan, options: ViewOptions) {
  const { readOutput, payloads } = options
  const view: JobView = projectJob(plan, events, {
    outputs: payloads && options.outputs,
    ...(payloads && readOutput !== undefined ? { readOutput } : {}),
  })
  const hasEnded = view.finishedAt !== null
  const { traceId } = traceOf(job)
  return {
    ...summarise(job),
    run: view.run,
    // The log knows of an end as soon as the row does; the row alone knows of what is not logged yet.
    status: hasEnded ? view.status : job.status,
    finishedAt: view.finishedAt ?? toTimeOrNull(job.finishedAt),
    error: view.error ?? parseOrNull(job.error),
    notAfter: toTimeOrNull(job.notAfter),
    result: payloads ? view.result : null,
    ...(view.cancel !== undefined && { cancel: view.cancel }),
    waitingFor: job.status === 'queued' ? (options.waitingFor ?? null) : view.waitingFor,
    steps: view.steps,
    runs: view.runs.map((run) => ({ ...run, traceId })),
    ...(options.input && payloads ? { input: parseOrNull(job.input) } : {}),
    links: {
      self: `/v1/jobs/${job.id}`,
      events: `/v1/jobs/${job.id}/events`,
      ...(options.traceUrl === undefined ? {} : { trace: `${options.traceUrl}/trace/${traceId}` }),
    },
  }
}

/** The job as a list shows it. */
export function summarise(job: JobSummary) {
  return {
    id: job.id,
    pipeline: job.pipeline,
    version: job.version,
    run: job.run,
    status: job.status,
    priority: job.priority,
    tags: Object.fromEntries(job.tags.map(splitTag)),
    orderingKey: job.orderingKey,
    correlationId: job.correlationId,
    traceId: traceOf(job).traceId,
    submittedAt: toTime(job.submittedAt),
    dispatchedAt: toTimeOrNull(job.dispatchedAt),
    finishedAt: toTimeOrNull(job.finishedAt),
    error: parseOrNull(job.error),
  }
}

function traceOf({ traceparent }: JobSummary): { traceId: string | null } {
  return { traceId: parseTraceparent(traceparent ?? undefined)?.traceId ?? null }
}

function splitTag(tag: string): [string, string] {
  const at = tag.indexOf('=')
  return [tag.slice(0, at), tag.slice(at + 1)]
}

function parseOrNull(text: string | null): unknown {
  return text === null ? null : JSON.parse(text)
}
