import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { act } from '../support/act-step.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Of one instance: four tasks at once, 100 ms each. */
const EACH_PER_SECOND = 40
const MOST = 4
const SOON_MS = 120_000
/** Jobs of one call, of which there are two a second. */
const CALM = 10
const FOURFOLD = 4 * CALM

const system = await startSystem({
  stages: [{ name: 'work', file: 'act', partitions: 8 }],
  env: { WEIR_CONCURRENCY: '4', WEIR_SCALE_DOWN_AFTER_MS: '3000' },
})
after(() => system.stop())
type Registered = { readonly state: string }
// A change that meets the stage's own activation is refused.
await until('the stage to be active', async () => {
  return (await system.operator.get<Registered>('/v1/stages/work@1')).state === 'active'
})
await system.operator.call('PUT', '/v1/stages/work@1', {
  body: { replicas: { min: 1, max: MOST } },
})
const { client } = await system.tenant('elastic', {
  ...{ submitRatePerSecond: 10_000, submitBurst: 10_000 },
  ...{ maxQueuedJobs: 100_000, maxInFlightJobs: 100_000 },
})
await client.publish('elastic', {
  steps: { only: act('slow', { stage: 'work@1', config: { ms: 100 } }) },
})

type Telemetry = { readonly instances: number; readonly instancesWanted: number | null }
type Flow = { readonly stages: readonly { readonly stage: string; readonly state: string }[] }
const telemetry = () => system.operator.get<Telemetry>('/v1/stages/work@1/telemetry')
const gate = async () => {
  const { stages } = await system.operator.get<Flow>('/v1/flow')
  return stages.find(({ stage }) => stage === 'work@1')?.state
}

/** Submits two batches a second, as large as `size` says, until it is stopped. */
function startLoad() {
  const load = { size: CALM, ids: [] as string[], isOver: false }
  const run = async () => {
    for (let from = 0; !load.isOver; from += load.size) {
      const inputs = Array.from({ length: load.size }, (_, index) => from + index)
      load.ids.push(...(await client.submitBatch('elastic', inputs)))
      await pause(500)
    }
  }
  return { load, running: run() }
}

/** What a cluster does with what the watchdog wants: starts processes and ends them, one at a time. */
function startDeployer() {
  const deployer = { most: 1, isOver: false }
  const more: string[] = []
  const run = async () => {
    for (let number = 2; !deployer.isOver; ) {
      const wanted = (await system.metrics('watchdog')).get(
        'weir_stage_instances_wanted{stage="work@1"}',
      )
      const there = 1 + more.length
      if (wanted !== undefined && wanted > there) {
        const name = `work.${number++}`
        await system.start({ name, file: 'act', partitions: 8 })
        more.push(name)
        deployer.most = Math.max(deployer.most, 1 + more.length)
      } else if (wanted !== undefined && wanted < there) {
        await system.stopStage(more.pop() as string)
      } else await pause(200)
    }
  }
  return { deployer, running: run(), count: () => 1 + more.length }
}

test('four times the load brings instances until the stage keeps up, its end takes them away, and nothing is lost', async (t) => {
  const { load, running: loading } = startLoad()
  const { deployer, running: deploying, count } = startDeployer()
  await until('the gate to be open', async () => (await gate()) === 'open', SOON_MS)
  assert.equal((await telemetry()).instancesWanted, 1)

  load.size = FOURFOLD
  const startedAt = performance.now()
  await until(
    'more instances to be wanted',
    async () => {
      return ((await telemetry()).instancesWanted ?? 0) > 1
    },
    SOON_MS,
  )
  await until(
    'what comes to be what the stage can do',
    async () => {
      const { instances } = await telemetry()
      const level = await gate()
      return instances * EACH_PER_SECOND > 2 * FOURFOLD && level === 'open'
    },
    SOON_MS,
  )
  t.diagnostic(`open again after ${Math.round((performance.now() - startedAt) / 1_000)} s`)
  assert.ok(deployer.most >= 3 && deployer.most <= MOST, `${deployer.most} instances`)

  load.isOver = true
  await loading
  await until('one instance to be left', () => count() === 1, SOON_MS)
  assert.equal((await telemetry()).instancesWanted, 1)
  deployer.isOver = true
  await deploying
  const jobs = await client.allEnded(load.ids, SOON_MS)
  assert.equal(jobs.length, new Set(load.ids).size)
  assert.ok(jobs.every(({ status }) => status === 'completed'))
})
