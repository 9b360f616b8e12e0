import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newUuid } from '@weir/contracts'
import { defineStage } from '@weir/sdk'
import { openInstallation, until } from './support.ts'

const seen: string[] = []
const only = defineStage({
  name: 'only',
  version: '1.0.0',
  run(_input, ctx) {
    seen.push(ctx.job)
    return {}
  },
})

test('what is not genuine is put aside unrun, and the next good message works', async (t) => {
  const weir = await openInstallation(t, [only])
  const plan = await weir.publish({ steps: { only: { stage: 'only@1' } } })
  await weir.ready(weir.start(only))
  const topic = weir.topics.input('only@1', 'normal')
  const at = { topic, partition: 0 }
  const message = (change: (headers: Record<string, string>) => void) => {
    const [record] = weir.firstMessages(plan, { n: 1 }).records
    const headers = { ...(record?.headers as Record<string, string>) }
    change(headers)
    return { ...at, key: record?.key ?? null, value: record?.value ?? null, headers }
  }
  const meta = (headers: Record<string, string>, change: object) => {
    headers['weir-meta'] = JSON.stringify({ ...JSON.parse(headers['weir-meta'] ?? ''), ...change })
  }
  await weir.producer.send([
    // Another job under a ticket that was written for this one.
    message((headers) => {
      headers['weir-job'] = newUuid()
    }),
    message((headers) => {
      headers['weir-tenant'] = newUuid()
    }),
    message((headers) => {
      headers['weir-ticket'] = '1;only@1.k1=AAAAAAAAAAAAAAAA'
    }),
    // An own message that the stage did not write.
    message((headers) => meta(headers, { kind: 'outcome', gen: 99, mac: 'AAAAAAAAAAAAAAAA' })),
    message((headers) => meta(headers, { kind: 'owner', gen: 99 })),
    message((headers) => meta(headers, { gen: 0 })),
    message((headers) => meta(headers, { step: 'another' })),
    { ...at, key: 'k', value: 'not ours', headers: { 'weir-meta': 'x' } },
    { ...at, key: 'k', value: null },
  ])
  const good = message(() => {})
  await weir.producer.send([good])
  await weir.untilReported(String(good.headers['weir-job']), 'only')
  await until('all dead letters', () => weir.deadLetters.length === 9)
  const reasons = weir.deadLetters.map(({ headers }) => headers['weir-reason'])
  assert.deepEqual(reasons.toSorted(), [
    'malformed',
    'malformed',
    'malformed',
    'message_invalid',
    'ticket_invalid',
    'ticket_invalid',
    'ticket_invalid',
    'ticket_invalid',
    'ticket_invalid',
  ])
  const raw = weir.deadLetters.find(({ value }) => String(value) === 'not ours')
  assert.equal(raw?.headers['weir-meta'], 'x')
  assert.match(raw?.headers['weir-origin'] ?? '', /\.normal\/0\/\d+$/)
  assert.deepEqual(seen, [good.headers['weir-job']])
})

test('a message whose plan is gone is put aside at once, one whose plan is to come waits for it', async (t) => {
  const weir = await openInstallation(t, [only])
  const kept = await weir.publish({ steps: { only: { stage: 'only@1' } } })
  const gone = weir.compile({ steps: { gone: { stage: 'only@1' } } })
  const later = weir.compile({ steps: { later: { stage: 'only@1' } } })
  await weir.ready(weir.start(only))
  const lost = await weir.submit(gone, {})
  await until('the dead letter', () => weir.deadLetters.length === 1)
  assert.equal(weir.deadLetters[0]?.headers['weir-reason'], 'plan_unknown')
  assert.equal(weir.deadLetters[0]?.headers['weir-job'], lost)

  const { job, records } = weir.firstMessages(later, {})
  const [record] = records
  const headers = { ...(record?.headers as Record<string, string>) }
  headers['weir-meta'] = JSON.stringify({
    ...JSON.parse(headers['weir-meta'] ?? ''),
    planOffset: 1,
  })
  await weir.producer.send([{ ...(record as NonNullable<typeof record>), headers }])
  await weir.producer.send([
    { topic: weir.topics.plans, key: later.id, value: JSON.stringify(later) },
  ])
  const [report] = await weir.untilReported(job, 'later')
  assert.equal(report?.status, 'completed')
  const next = await weir.submit(kept, {})
  await weir.untilReported(next, 'only')
  assert.equal(weir.deadLetters.length, 1)
})
