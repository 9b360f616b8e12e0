import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fan, total, work } from './fixtures/stages.ts'
import { openInstallation, until } from './support.ts'

test('what cannot be sent is not passed over: the partition starts from its commit until it can', async (t) => {
  const weir = await openInstallation(t, [work, total])
  const plan = await weir.publish({
    steps: { first: { stage: 'work@1' }, second: { stage: 'total@1', after: ['first'] } },
  })
  const specs = weir.topics.stageSpecs('total@1', 2, ['high', 'normal'])
  const instance = weir.start(work)
  await instance.ready
  await weir.admin.deleteTopics(specs.map(({ topic }) => topic))
  const job = await weir.submit(plan, 7)
  const restored = instance.counters.restored
  await until('a restart', () => instance.counters.restored > restored)
  await weir.admin.createTopics(specs)
  await until('the message', () => weir.reportsOf(job, 'first').length > 0)
  const ends = async () => {
    const offsets = await weir.admin.fetchEndOffsets(specs.map(({ topic }) => topic))
    return offsets.reduce((sum, { offset }) => sum + offset, 0)
  }
  const endAtMs = performance.now() + 30_000
  while ((await ends()) === 0) assert.ok(performance.now() < endAtMs, 'the message is not there')
  assert.equal(weir.reportsOf(job, 'first')[0]?.output, '21')
  assert.equal(instance.notReady(), undefined)
})

test('a group without a committed offset stops its partitions instead of guessing one', async (t) => {
  const weir = await openInstallation(t, [fan])
  await weir.admin.deleteGroup(weir.topics.stageGroup('fan@1'))
  const instance = weir.start(fan)
  await until('it says so', () => /is stopped/.test(instance.notReady() ?? ''))
})
