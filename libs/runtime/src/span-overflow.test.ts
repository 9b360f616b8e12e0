import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startOtlpSink } from '../../../test/support/otlp-sink.ts'
import { until } from '../../../test/support/until.ts'
import type { Loss } from './loss-tally.ts'
import { startSpan } from './spans.ts'
import { startTelemetry } from './telemetry-sdk.ts'

const QUEUE_MAX = 16_384
const BATCH_MAX = 2_048

const sink = await startOtlpSink()
after(() => sink.close())
const losses: Loss[] = []
const sdk = startTelemetry({
  otlpUrl: sink.url,
  traceRatio: 1,
  serviceName: 'overflow',
  onLoss: (loss) => void losses.push(loss),
})

let offered = 0

/** Ends so many spans, and looks at the books after each. */
function offer(count: number): void {
  for (let n = 0; n < count; n += 1) {
    startSpan('offered', { isRoot: true }).end()
    offered += 1
    checkBooks()
  }
}

/** Nothing is unaccounted for at any moment, and no bound is passed. */
function checkBooks() {
  const { exported, failed, dropped, queued, exporting } = sdk.stats()
  assert.equal(exported + failed + dropped + queued + exporting, offered)
  assert.ok(
    queued <= QUEUE_MAX && exporting <= BATCH_MAX,
    `${queued} queued, ${exporting} on the way`,
  )
  return { exported, failed, dropped }
}

const settled = () =>
  until('an empty queue', () => {
    checkBooks()
    const { queued, exporting } = sdk.stats()
    return queued + exporting === 0
  })

test('what a slow, refusing or silent collector does not take is dropped, and every span is accounted for', async () => {
  const startedAt = Date.now()
  sink.answer({ status: 200, afterMs: 100 })
  offer(QUEUE_MAX + 3 * BATCH_MAX)
  const slow = checkBooks()
  assert.ok(slow.dropped >= BATCH_MAX, 'a full queue drops')
  await settled()
  assert.equal(checkBooks().dropped, slow.dropped)

  sink.answer({ status: 400, afterMs: 0 })
  offer(1_000)
  await settled()
  assert.equal(checkBooks().failed, 1_000)

  sink.answer('nothing')
  offer(QUEUE_MAX + 2 * BATCH_MAX)
  const away = checkBooks()
  assert.ok(away.dropped > slow.dropped)
  // The ones on their way are given up or sent again; all that are queued wait for the return.
  sink.answer({ status: 200, afterMs: 0 })
  await settled()

  const { exported, failed, dropped } = checkBooks()
  assert.equal(sink.spans.length, exported, 'exported is what the collector has taken')
  assert.ok(exported >= 2 * QUEUE_MAX)

  await sdk.shutdown()
  assert.equal(
    losses.reduce((sum, { lost }) => sum + lost, 0),
    failed + dropped,
  )
  for (const { lost, reasons, from, to } of losses) {
    assert.equal(
      Object.values(reasons).reduce((sum, count) => sum + count, 0),
      lost,
    )
    assert.ok(startedAt <= Date.parse(from) && from <= to && Date.parse(to) <= Date.now())
  }
})
