import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fan, total, work } from './fixtures/stages.ts'
import { openInstallation, until } from './support.ts'

test('instances come and go under load: partitions move or stay, and every task is reported alike', async (t) => {
  const weir = await openInstallation(t, [fan, work, total])
  const plan = await weir.publish({
    steps: {
      fan: { stage: 'fan@1' },
      work: { stage: 'work@1', after: [{ step: 'fan', each: true }] },
      total: { stage: 'total@1', after: [{ step: 'work', gather: true }] },
    },
  })
  const first = [fan, work, total].map((stage) => weir.start(stage))
  await weir.ready(...first)
  const jobs: string[] = []
  const done = () =>
    new Set(weir.reports.flatMap(({ run }) => (run.step === 'total' ? [run.job] : []))).size
  const feed = async (count: number) => {
    for (let i = 0; i < count; i += 1) jobs.push(await weir.submit(plan, { n: jobs.length }))
  }
  await feed(100)
  const second = [fan, work, total].map((stage) => weir.start(stage))
  await feed(100)
  await weir.ready(...second)
  await until('half', () => done() >= 100)
  await Promise.all(first.map((instance) => instance.stop()))
  await feed(100)
  const third = weir.start(work)
  await third.ready
  await feed(50)
  await until('all jobs', () => done() >= 350)

  const outputs = new Map<string, string | undefined>()
  for (const { run, task } of weir.reports) {
    const key = `${run.job}/${run.step}/${task.item}`
    if (outputs.has(key)) assert.equal(task.output, outputs.get(key), key)
    outputs.set(key, task.output)
  }
  for (const [n, job] of jobs.entries()) {
    const items = Array.from({ length: 1 + (n % 4) }, (_, i) => n * 10 + i)
    assert.equal(outputs.get(`${job}/fan/`), JSON.stringify(items))
    const sum = items.reduce((all, item) => all + item * 3, 0)
    assert.equal(outputs.get(`${job}/total/`), String(sum), `job ${n}`)
  }
  assert.equal(weir.deadLetters.length, 0)
  const decided = new Set(outputs.keys()).size
  const repeated = weir.reports.length - decided
  assert.ok(repeated < 100, `${repeated} of ${decided} tasks were reported again`)
})
