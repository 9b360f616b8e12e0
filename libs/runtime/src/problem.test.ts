import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '@weir/contracts'
import { toProblem } from './problem.ts'

test('an error of ours becomes its problem, and its members overwrite nothing', () => {
  const error = new WeirError('rate_limited', 'Too fast', {
    retryAfterS: 1.2,
    members: { cause: 'tenant', status: 200, code: 'mine' },
  })
  assert.deepEqual(toProblem(error, 'r1'), {
    status: 429,
    headers: { 'content-type': 'application/problem+json', 'retry-after': '2' },
    body: {
      cause: 'tenant',
      type: '/problems/rate_limited',
      title: 'Too many requests for now',
      status: 429,
      detail: 'Too fast',
      instance: 'urn:request:r1',
      code: 'rate_limited',
    },
  })
})

test('any other error is internal and silent about its cause', () => {
  const { status, body } = toProblem(new TypeError('select * from secrets'), 'r2')
  assert.equal(status, 500)
  assert.equal(body.code, 'internal')
  assert.ok(!JSON.stringify(body).includes('secrets'))
})
