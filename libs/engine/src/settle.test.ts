import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createBell } from '@weir/runtime'
import { settle } from './settle.ts'

/** What is waited for, with timers that stand still until they are moved. */
function start(t: TestContext, { isQuiet = true, taken = [] as boolean[], forMs = 1_000 } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const news = createBell()
  const seen = { pumps: 0, commits: 0 }
  const partition = {
    isQuiet,
    pump() {
      seen.pumps += 1
      // As a partition does that has something to commit.
      news.ring()
    },
  }
  let nowMs = 0
  const settled = settle({
    partitions: [partition],
    news,
    commit: async () => taken[seen.commits++] ?? true,
    now: () => nowMs,
    untilMs: forMs,
  })
  const pass = async (ms: number) => {
    nowMs += ms
    t.mock.timers.tick(ms)
    await turn()
  }
  return { partition, news, seen, settled, pass }
}

/** Lets everything run that waits for no timer. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('what is quiet is committed at once', async (t) => {
  const { settled, seen } = start(t)
  assert.equal(await settled, true)
  assert.deepEqual(seen, { pumps: 1, commits: 1 })
})

test('the last answer wakes it: no time has to pass', async (t) => {
  const { partition, news, settled, seen } = start(t, { isQuiet: false })
  await turn()
  assert.equal(seen.commits, 0)
  partition.isQuiet = true
  news.ring()
  assert.equal(await settled, true)
})

test('its own pumping does not keep it busy, and is done again after a while', async (t) => {
  const { partition, news, settled, seen, pass } = start(t, { isQuiet: false })
  await turn()
  assert.equal(seen.pumps, 1)
  await pass(50)
  assert.equal(seen.pumps, 2)
  partition.isQuiet = true
  news.ring()
  assert.equal(await settled, true)
})

test('a commit that is refused is tried again, and not at each ring', async (t) => {
  const { news, settled, seen, pass } = start(t, { taken: [false, false, true] })
  await turn()
  news.ring()
  await turn()
  assert.equal(seen.commits, 1)
  await pass(50)
  assert.equal(seen.commits, 2)
  await pass(50)
  assert.equal(await settled, true)
  assert.equal(seen.commits, 3)
})

test('after its time it gives up', async (t) => {
  const { settled, seen, pass } = start(t, { isQuiet: false, forMs: 70 })
  await turn()
  await pass(50)
  await pass(20)
  assert.equal(await settled, false)
  assert.equal(seen.commits, 0)
})
