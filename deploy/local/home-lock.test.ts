import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acquireHomeLock, askHolder } from './home-lock.ts'
import { makeTestHome } from './test-support.ts'

test('one process holds a home, says which it is, and gives it back', async (t) => {
  const home = makeTestHome(t)
  assert.equal(await askHolder(home), undefined)
  const lock = await acquireHomeLock(home)
  assert.ok(lock)
  assert.equal(await acquireHomeLock(home), undefined)
  assert.equal(await askHolder(home), process.pid)
  await lock.release()
  assert.equal(await askHolder(home), undefined)
  const again = await acquireHomeLock(home)
  assert.ok(again)
  await again.release()
})
