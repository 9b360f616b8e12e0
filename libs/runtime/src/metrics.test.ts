import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from './metrics.ts'

test('labels take only what they may, all else becomes other', async () => {
  const metrics = createMetrics({ service: 'svc' })
  const counter = metrics.counter('weir_test_total', 'A test', {
    outcome: ['ok', 'failed'],
    stage: { max: 2 },
  })
  counter.inc({ outcome: 'ok', stage: 'a' })
  counter.inc({ outcome: 'strange', stage: 'b' }, 2)
  counter.inc({ outcome: 'ok', stage: 'c' })
  counter.inc({ outcome: 'ok', stage: 'd' })
  counter.inc({ outcome: 'ok', stage: 'a' })
  const text = await metrics.render()
  const lines = text.split('\n').filter((line) => line.startsWith('weir_test_total{'))
  assert.deepEqual(lines.toSorted(), [
    'weir_test_total{outcome="ok",stage="a",service="svc"} 2',
    'weir_test_total{outcome="ok",stage="other",service="svc"} 2',
    'weir_test_total{outcome="other",stage="b",service="svc"} 2',
  ])
})

test('gauges and histograms render, and the process is there too', async () => {
  const metrics = createMetrics({ service: 'svc' })
  const gauge = metrics.gauge('weir_g', 'G', { lane: ['high', 'normal'] })
  gauge.set({ lane: 'high' }, 4)
  gauge.set({ lane: 'normal' }, 5)
  gauge.remove({ lane: 'normal' })
  metrics.gaugeOf('weir_read', 'R', () => 7)
  metrics.histogram('weir_seconds', 'H').observe({}, 0.02)
  const text = await metrics.render()
  assert.match(text, /weir_g\{lane="high",service="svc"\} 4/)
  assert.doesNotMatch(text, /weir_g\{lane="normal"/)
  assert.match(text, /weir_read\{service="svc"\} 7/)
  assert.match(text, /weir_seconds_bucket\{le="0.025",service="svc"\} 1/)
  assert.match(text, /process_resident_memory_bytes/)
  assert.match(text, /weir_telemetry_dropped_total\{signal="traces",reason="queue_full"/)
})
