import { createMetrics, type Metrics } from '@weir/runtime'
import { NOTED } from './audit/tally.ts'
import { CAUSES } from './flow/refusals.ts'

const OUTCOMES = ['admitted', 'repeated', 'refused', 'invalid'] as const

/** The figures of the control service. */
export function createControlMetrics(waiters: () => number) {
  const metrics: Metrics = createMetrics({ service: 'control' })
  const route = { max: 100 }
  metrics.gaugeOf('weir_control_waiters', 'Requests that wait for jobs', waiters)
  return {
    contentType: metrics.contentType,
    render: () => metrics.render(),
    requests: metrics.counter('weir_control_requests_total', 'Requests', {
      route,
      status: { max: 40 },
    }),
    requestSeconds: metrics.histogram('weir_control_request_seconds', 'Time to answer', { route }),
    submits: metrics.counter(
      'weir_control_submits_total',
      'Jobs submitted, by what became of them',
      {
        outcome: OUTCOMES,
      },
    ),
    cancels: metrics.counter(
      'weir_control_cancels_total',
      'Jobs that were cancelled in the queue, and runs that were asked to end',
      { outcome: ['cancelled', 'cancelling'] },
    ),
    drops: metrics.counter(
      'weir_control_jobs_dropped_total',
      'Queued jobs that were dropped because newer ones came to a queue that was full',
    ),
    backpressure: metrics.counter(
      'weir_control_backpressure_total',
      'Answers 429, by who is the cause and, where it is one, the stage',
      {
        cause: CAUSES,
        code: ['rate_limited', 'quota_exceeded', 'backpressure'],
        stage: { max: 1_000 },
      },
    ),
    auditNotes: metrics.counter(
      'weir_control_audit_notes_total',
      'Denials and refusals, by what the audit log keeps of them',
      { outcome: [...NOTED, 'failed'] },
    ),
    groupJobs: metrics.histogram(
      'weir_control_admission_group_jobs',
      'Jobs that shared one admission statement',
      {},
      [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000],
    ),
  }
}

export type ControlMetrics = ReturnType<typeof createControlMetrics>
