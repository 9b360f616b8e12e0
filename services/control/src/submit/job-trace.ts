import type { Span } from '@opentelemetry/api'
import { startSpan, traceparentOf } from '@weir/runtime'
import type { RequestScope } from '../http/request-scope.ts'

/** The trace of one job of a batch. */
export type JobTrace = {
  /** The context that the job is admitted with. */
  readonly traceparent: string
  /** The job is in: its span is exported. What is refused or repeated leaves none. */
  admit(job: {
    readonly tenant: string
    readonly id: string
    readonly pipeline: string
    readonly correlationId: string
  }): void
}

/**
 * Opens a trace of its own for a job of a batch: a trace is one run's, and the request's would be
 * that of thousands. Its first span links to the request's. Whether it is recorded is decided anew
 * for each job, unless the caller has said that nothing is.
 */
export function openJobTrace(scope: RequestScope): JobTrace {
  const span = scope.isTraceRefused ? undefined : startRoot(scope.traceparent)
  const own = span && traceparentOf(span)
  if (span === undefined || own === undefined) {
    return { traceparent: scope.traceparent, admit() {} }
  }
  return {
    traceparent: own,
    admit({ tenant, id, pipeline, correlationId }) {
      span.setAttributes({
        'weir.tenant.id': tenant,
        'weir.job.id': id,
        'weir.pipeline': pipeline,
        'messaging.message.conversation_id': correlationId,
      })
      span.end()
    },
  }
}

const startRoot = (request: string): Span =>
  startSpan('submit job', { isRoot: true, links: [request] })
