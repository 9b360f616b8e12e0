import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineError, withDeadline } from './deadline.ts'

test('what comes in time comes through, success or failure', async () => {
  assert.equal(await withDeadline(Promise.resolve(1), 1000, 'x'), 1)
  await assert.rejects(withDeadline(Promise.reject(new Error('own')), 1000, 'x'), /own/)
})

test('what is late is a deadline error that names it, and its own failure is not unhandled', async () => {
  const late = Promise.withResolvers<never>()
  await assert.rejects(withDeadline(late.promise, 5, 'the query'), (error) => {
    return error instanceof DeadlineError && error.message.includes('the query')
  })
  late.reject(new Error('afterwards'))
  await new Promise((resolve) => setImmediate(resolve))
})
