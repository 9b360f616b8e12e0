import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '@weir/contracts'
import { defineStage } from '@weir/sdk'
import { openInstallation, until } from './support.ts'

const double = defineStage({
  name: 'double',
  version: '1.0.0',
  run: (input) => ({ n: (input as { n: number }).n * 2 }),
})
const addOne = defineStage({
  name: 'add-one',
  version: '1.0.0',
  run: (input) => ({ n: (input as { n: number }).n + 1 }),
})

test('a job runs through a chain of stages, each task reported once with its output', async (t) => {
  const weir = await openInstallation(t, [double, addOne])
  const plan = await weir.publish({
    steps: {
      first: { stage: 'double@1' },
      second: { stage: 'add-one@1', after: ['first'] },
      third: { stage: 'double@1', after: ['second'] },
    },
  })
  await weir.ready(weir.start(double), weir.start(addOne))
  const job = await weir.submit(plan, { n: 5 })
  const [third] = await weir.untilReported(job, 'third')
  assert.equal(third?.status, 'completed')
  assert.equal(third?.output, '{"n":22}')
  // Reports of different instances may overtake each other.
  const [first] = await weir.untilReported(job, 'first')
  assert.equal(first?.digest, digestOf('{"n":10}'))
  const [second] = await weir.untilReported(job, 'second')
  assert.deepEqual(second?.took, [[1, '', digestOf('{"n":10}')]])
  assert.equal(weir.reportsOf(job).length, 3)
  const run = weir.reports.find(({ run }) => run.job === job)?.run
  assert.match(run?.tag ?? '', /^k1=/)
})

test('many jobs of both lanes all end, and the commits reach the end of the topics', async (t) => {
  const weir = await openInstallation(t, [double])
  const plan = await weir.publish({ steps: { only: { stage: 'double@1' } } })
  const one = weir.start(double)
  await one.ready
  const jobs = await Promise.all(
    Array.from({ length: 400 }, (_, n) =>
      weir.submit(plan, { n }, { priority: n % 2 === 0 ? 200 : 100 }),
    ),
  )
  await until('all reports', () => weir.reports.length >= 400)
  const outputs = new Map(weir.reports.map(({ run, task }) => [run.job, task.output]))
  jobs.forEach((job, n) => {
    assert.equal(outputs.get(job), `{"n":${n * 2}}`)
  })
  const inputs = weir.topics.stageSpecs('double@1', 2, ['high', 'normal']).map(({ topic }) => topic)
  const group = weir.topics.stageGroup('double@1')
  await one.stop()
  const ends = await weir.admin.fetchEndOffsets(inputs)
  const committed = await weir.admin.fetchCommitted(group, ends)
  for (const end of ends) {
    const found = committed.find((c) => c.topic === end.topic && c.partition === end.partition)
    assert.equal(found?.offset, end.offset)
  }
  assert.equal(weir.reports.length, 400)
})
