import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineStage } from '@weir/sdk'
import { openInstallation, until } from './support.ts'

const runs: string[] = []
const hooks: string[] = []
const plain = defineStage({
  name: 'plain',
  version: '1.0.0',
  run(_input, ctx) {
    runs.push(ctx.job)
    return {}
  },
  init: () => hooks.push('init'),
  pause: () => hooks.push('pause'),
  resume: () => hooks.push('resume'),
  shutdown: () => hooks.push('shutdown'),
})

test('a deactivated stage processes nothing until it is active again', async (t) => {
  const weir = await openInstallation(t, [plain])
  const plan = await weir.publish({ steps: { plain: { stage: 'plain@1' } } })
  await weir.publishStage(plain, 'deactivated')
  const one = weir.start(plain)
  await one.ready
  const states = () => weir.instances.get(one.instanceId)?.state
  await until('it says so', () => states() === 'deactivated')
  const job = await weir.submit(plan, {})
  await weir.publishStage(plain, 'active')
  await weir.untilReported(job, 'plain')
  await until('it says so', () => states() === 'active')

  await weir.publishStage(plain, 'deactivated')
  await until('it says so', () => states() === 'deactivated')
  const held = await weir.submit(plan, {})
  const before = runs.length
  // What is written now is read only by an active instance: its own record proves that it looked.
  await weir.fence('00000000-0000-7000-8000-000000000000')
  const seen = weir.instances.get(one.instanceId)?.controlOffset ?? 0
  await until('it has read on', () => {
    return (weir.instances.get(one.instanceId)?.controlOffset ?? 0) > seen
  })
  assert.equal(runs.length, before)
  await weir.publishStage(plain, 'active')
  await weir.untilReported(held, 'plain')
  await one.stop()
  assert.deepEqual(hooks, ['init', 'pause', 'resume', 'shutdown'])
  await until('the registry forgets it', () => !weir.instances.has(one.instanceId))
})

test('an instance whose contracts are refused says why and never gets ready', async (t) => {
  const weir = await openInstallation(t, [plain])
  await weir.publishStage(plain, 'active', 'the output lost a field')
  const failures: string[] = []
  const one = weir.start(plain, { onFatal: (error) => failures.push(error.message) })
  await assert.rejects(one.ready, /the output lost a field/)
  assert.equal(failures.length, 1)
})
