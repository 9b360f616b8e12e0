import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from './api.ts'
import { isAsItMustBe, judge } from './judge.ts'

const reference = ['{"date":"2001-01-01","late":1}', '{"date":"2001-01-02","late":2}']

const job = (date: string, late: number, status = 'completed'): Job => ({
  id: date,
  status,
  result: null,
  error: null,
  steps: { publish: { stage: 'publish@1', status, output: { late, date } } },
})
const sent = (key: string, date: string, late: number, count = 1) => ({
  key,
  body: JSON.stringify({ late, date }),
  count,
})

const jobs = [job('2001-01-01', 1), job('2001-01-02', 2)]
const deliveries = [sent('a', '2001-01-01', 1), sent('b', '2001-01-02', 2, 3)]

test('equal lines, each published under one key, are as they must be', () => {
  const verdict = judge({ reference, jobs, deliveries })
  assert.ok(isAsItMustBe(verdict), JSON.stringify(verdict))
})

test('nothing else is', () => {
  const [first, second] = jobs as [Job, Job]
  const cases: [Parameters<typeof judge>[0], object][] = [
    [
      { reference, jobs: [first], deliveries },
      { lost: 1, sameLines: 1 },
    ],
    [{ reference, jobs: [first, { ...second, status: 'failed' }], deliveries }, { lost: 1 }],
    [{ reference, jobs: [...jobs, first], deliveries }, { duplicated: 1 }],
    [
      { reference, jobs: [first, job('2001-01-02', 3)], deliveries },
      { differentLines: 1, lost: 0 },
    ],
    [
      { reference, jobs, deliveries: [...deliveries, sent('c', '2001-01-01', 1)] },
      { publishedTwice: 1 },
    ],
    [{ reference, jobs, deliveries: [deliveries[0] as never] }, { notPublished: 1 }],
    [{ reference: [], jobs: [], deliveries: [] }, { days: 0 }],
  ]
  for (const [evidence, expected] of cases) {
    const verdict = judge(evidence)
    assert.equal(isAsItMustBe(verdict), false)
    assert.deepEqual({ ...verdict, ...expected }, verdict)
  }
})
