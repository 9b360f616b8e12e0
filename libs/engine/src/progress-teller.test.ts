import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TaskProgress } from '@weir/contracts'
import { createProgressTeller } from './progress-teller.ts'

function start(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  const told: TaskProgress[] = []
  const teller = createProgressTeller(Date.now, (progress) => told.push(progress))
  return { told, teller, tick: (ms: number) => t.mock.timers.tick(ms) }
}

test('the first word goes out at once, then one a second with the latest', (t) => {
  const { told, teller, tick } = start(t)
  teller.say(1, 10)
  assert.deepEqual(told, [{ n: 1, done: 1, total: 10 }])
  for (let done = 2; done <= 5; done += 1) teller.say(done, 10)
  tick(999)
  assert.equal(told.length, 1)
  tick(1)
  assert.deepEqual(told[1], { n: 2, done: 5, total: 10 })
  tick(5_000)
  teller.say(6, undefined)
  assert.deepEqual(told.slice(2), [{ n: 3, done: 6 }])
})

test('the last word is told at the end, once, and nothing after it', (t) => {
  const { told, teller, tick } = start(t)
  teller.say(1, 3)
  teller.say(3, 3)
  teller.end()
  teller.say(4, 3)
  teller.end()
  tick(10_000)
  assert.deepEqual(told, [
    { n: 1, done: 1, total: 3 },
    { n: 2, done: 3, total: 3 },
  ])
})

test('there is a bound to what one attempt tells, and what is no number is not told', (t) => {
  const { told, teller, tick } = start(t)
  teller.say(Number.NaN, 1)
  teller.say('5' as unknown as number, 1)
  for (let done = 0; done < 1_500; done += 1) {
    teller.say(done, Number.POSITIVE_INFINITY)
    tick(1_000)
  }
  teller.end()
  assert.equal(told.length, 1_000)
  assert.deepEqual(told[0], { n: 1, done: 0 })
})
