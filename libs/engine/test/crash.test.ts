import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fan, steady, total, work } from './fixtures/stages.ts'
import { type StageProcess, startProcess } from './process.ts'
import { openInstallation, until } from './support.ts'

const JOBS = 500

test('stages that are killed in the middle of the work lose nothing and change nothing', async (t) => {
  const weir = await openInstallation(t, [fan, work, total])
  const plan = await weir.publish({
    steps: {
      fan: { stage: 'fan@1' },
      work: { stage: 'work@1', after: [{ step: 'fan', each: true }] },
      total: { stage: 'total@1', after: [{ step: 'work', gather: true }] },
    },
  })
  const names = ['fan', 'work', 'total']
  const running: StageProcess[] = names.map((name) => startProcess(t, weir, name))
  const jobs: string[] = []
  for (let n = 0; n < JOBS; n += 1) jobs.push(await weir.submit(plan, { n }))
  const done = () =>
    new Set(weir.reports.filter(({ run }) => run.step === 'total').map(({ run }) => run.job)).size

  for (const [round, at] of [50, 150, 250].entries()) {
    await until(`${at} jobs`, () => done() >= at, 60_000)
    await running[round]?.end('SIGKILL')
    running[round] = startProcess(t, weir, names[round] as string)
  }
  await until('all jobs', () => done() === JOBS, 60_000)

  // As an undisturbed installation would have reported, whatever was run twice.
  const expected = new Map<string, string>()
  for (const [n, job] of jobs.entries()) {
    const items = Array.from({ length: 1 + (n % 4) }, (_, i) => n * 10 + i)
    expected.set(`${job}/fan/`, JSON.stringify(items))
    for (const [i, item] of items.entries()) expected.set(`${job}/work/${i}`, String(item * 3))
    expected.set(`${job}/total/`, String(items.reduce((sum, item) => sum + item * 3, 0)))
  }
  const found = new Map<string, string>()
  for (const { run, task } of weir.reports) {
    assert.equal(task.status, 'completed')
    const key = `${run.job}/${run.step}/${task.item}`
    assert.equal(task.output, expected.get(key), key)
    found.set(key, task.output ?? '')
  }
  assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort())
  assert.equal(weir.deadLetters.length, 0)
})

test('a stage that is told to stop lets its tasks end, and none of them runs again', async (t) => {
  const weir = await openInstallation(t, [steady])
  const plan = await weir.publish({ steps: { steady: { stage: 'steady@1' } } })
  const first = startProcess(t, weir, 'steady')
  const jobs: string[] = []
  for (let n = 0; n < 12; n += 1) jobs.push(await weir.submit(plan, { n }))
  const named = (one: StageProcess, what: string) =>
    one.lines.filter((line) => line.startsWith(`{"${what}"`)).map((line) => JSON.parse(line)[what])
  await until('some have ended and some run', () => {
    return (
      named(first, 'ends').length > 0 && named(first, 'begins').length > named(first, 'ends').length
    )
  })
  assert.equal(await first.end('SIGTERM'), 0)
  const begun = named(first, 'begins')
  assert.deepEqual(named(first, 'ends').toSorted(), begun.toSorted())
  assert.ok(begun.length < jobs.length, 'it stopped before all were done')
  await until('their reports', () => begun.every((job) => weir.reportsOf(job).length === 1))

  const second = startProcess(t, weir, 'steady')
  await until('all jobs', () => jobs.every((job) => weir.reportsOf(job).length > 0))
  assert.equal(await second.end('SIGTERM'), 0)
  assert.deepEqual([...begun, ...named(second, 'begins')].toSorted(), jobs.toSorted())
  assert.equal(weir.reports.length, jobs.length)
})
