import { createMetrics, type Metrics } from '@weir/runtime'

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
    groupJobs: metrics.histogram(
      'weir_control_admission_group_jobs',
      'Jobs that shared one admission statement',
      {},
      [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000],
    ),
  }
}

export type ControlMetrics = ReturnType<typeof createControlMetrics>
