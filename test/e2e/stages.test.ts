import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { act } from '../support/act-step.ts'
import type { Client } from '../support/api-client.ts'
import { readNoted } from '../support/noted.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const system = await startSystem({
  stages: [{ name: 'act' }, { name: 'batch' }, { name: 'narrow', file: 'act' }],
})
after(() => system.stop())
const { client } = await system.tenant('stages')
const log = system.file('stages.log')

type StageView = {
  readonly state: string
  readonly instances: readonly {
    readonly version: string
    readonly state: string
    readonly partitions: readonly string[]
  }[]
  readonly contracts: readonly {
    readonly version: string
    readonly accepted: boolean
    readonly reason: string | null
  }[]
}
const stageOf = (ref: string) => system.operator.get<StageView>(`/v1/stages/${ref}`)

type Batched = {
  readonly input: unknown
  readonly batch: number
  readonly size: number
  at: number
}
await client.publish('batched', { steps: { only: { stage: 'batch@1' } } })

test('three messages and then silence are one batch, soon after the wait of a second', async () => {
  const jobs = await client.allEnded(await client.submitBatch('batched', ['a', 'b', 'c']))
  const results = jobs.map(({ result }) => result as Batched)
  assert.deepEqual(results.map(({ input }) => input).sort(), ['a', 'b', 'c'])
  assert.deepEqual([...new Set(results.map(({ size }) => size))], [3])
  assert.equal(new Set(results.map(({ batch }) => batch)).size, 1)
  const dispatchedAt = Math.min(...jobs.map((job) => Date.parse(job.dispatchedAt ?? '')))
  const waitedMs = (results[0]?.at ?? Number.NaN) - dispatchedAt
  assert.ok(waitedMs >= 950 && waitedMs <= 1_400, `it was ${waitedMs} ms`)
})

test('twenty-three messages are batches of ten, ten and three', async () => {
  const inputs = Array.from({ length: 23 }, (_, index) => index)
  const jobs = await client.allEnded(await client.submitBatch('batched', inputs))
  const sizes = new Map(
    jobs.map(({ result }) => [(result as Batched).batch, (result as Batched).size]),
  )
  assert.deepEqual([...sizes.values()].sort(), [10, 10, 3])
  assert.deepEqual(
    jobs.map(({ result }) => (result as Batched).input),
    inputs,
  )
})

test('one bad message of a batch fails alone', async () => {
  const jobs = await client.allEnded(await client.submitBatch('batched', ['x', 'bad', 'y']))
  assert.deepEqual(
    jobs.map(({ status }) => status),
    ['completed', 'failed', 'completed'],
  )
  assert.equal(jobs[1]?.error?.code, 'bad_input')
})

const narrow = (ms: number) => ({
  steps: { only: act('careful', { stage: 'narrow@1', config: { ms, log } }) },
})

/** Jobs in the order in which their only task has started, without those that are not asked for. */
const startOrder = (ids: readonly string[]): string[] =>
  readNoted(log)
    .filter(({ what, job }) => what === 'start' && ids.includes(job))
    .map(({ job }) => job)

async function limitNarrow(inFlightMax: number): Promise<void> {
  await system.operator.call('PUT', '/v1/stages/narrow@1', { body: { inFlightMax } })
}

test('no more jobs are let in than a stage may have in flight, whatever pipeline they are of', async () => {
  await limitNarrow(3)
  const names = ['narrow-a', 'narrow-b', 'narrow-c', 'narrow-d']
  for (const name of names) await client.publish(name, narrow(100))
  const batches = names.map((name) =>
    Promise.all(
      [10, 100, 200, 250].map((priority) => client.submitBatch(name, [1, 2], { priority })),
    ),
  )
  const ids = (await Promise.all(batches)).flat(2)
  await client.allEnded(ids)
  const lines = readNoted(log).filter(({ job }) => ids.includes(job))
  let running = 0
  let most = 0
  for (const { what } of lines.sort((a, b) => a.at - b.at || (a.what === 'done' ? -1 : 1))) {
    running += what === 'start' ? 1 : what === 'done' ? -1 : 0
    most = Math.max(most, running)
  }
  assert.ok(most <= 3, `${most} ran at once`)
})

test('when there is no room, higher bands go first and lower ones still go', async () => {
  await limitNarrow(1)
  await client.publish('blocker', narrow(2_500))
  await client.publish('banded', narrow(20))
  const { id: blocker } = await client.submit('blocker', 0)
  await until('the blocker to run', () => startOrder([blocker]).length > 0)
  const bands: Record<string, readonly string[]> = {}
  for (const priority of [10, 100, 200, 250]) {
    const inputs = Array.from({ length: 15 }, (_, index) => index)
    bands[priority] = await client.submitBatch('banded', inputs, { priority })
  }
  const ids = Object.values(bands).flat()
  await client.allEnded(ids)
  const order = startOrder(ids)
  const meanOf = (priority: number) => {
    const own = bands[priority] ?? []
    return own.reduce((sum, id) => sum + order.indexOf(id), 0) / own.length
  }
  const means = [250, 200, 100, 10].map(meanOf)
  assert.deepEqual(
    means,
    means.toSorted((a, b) => a - b),
    `mean positions ${means}`,
  )
  const firstLow = Math.min(...(bands[10] ?? []).map((id) => order.indexOf(id)))
  assert.ok(firstLow < 45, `the first of the lowest band was only at ${firstLow}`)
})

test('one tenant’s backlog does not hold up another’s few jobs', async () => {
  await limitNarrow(1)
  const { client: few } = await system.tenant('few')
  const submitTo = async (by: Client, count: number) => {
    await by.publish('fair', narrow(20))
    return by.submitBatch(
      'fair',
      Array.from({ length: count }, (_, index) => index),
    )
  }
  const many = await submitTo(client, 80)
  await until('the backlog to be worked on', () => startOrder(many).length > 2)
  const others = await submitTo(few, 5)
  await few.allEnded(others)
  await client.allEnded(many)
  const order = startOrder([...many, ...others])
  const before = order.indexOf(others[0] as string)
  const last = Math.max(...others.map((id) => order.indexOf(id)))
  assert.ok(last - before <= 15, `five jobs took ${last - before} places`)
  assert.ok(last < 60, `the last of them was at ${last}`)
})

test('jobs for a stage that is not there yet are queued, say so, and run when it is ready', async () => {
  await system.register({ name: 'later' })
  await client.publish('early', {
    steps: {
      first: act('echo', { config: { log } }),
      second: act('double', { after: ['first'], stage: 'later@1', config: { log } }),
    },
  })
  const ids = await client.submitBatch('early', [1, 2, 3])
  const waiting = await until('the job to say what it waits for', async () => {
    const { waitingFor, status } = await client.job(ids[0] as string)
    return waitingFor === null ? false : { ...waitingFor, status }
  })
  assert.deepEqual(
    [waiting.status, waiting.kind, waiting.stage],
    ['queued', 'stage_not_ready', 'later@1'],
  )
  assert.equal((await stageOf('later@1')).state, 'created')
  assert.deepEqual(startOrder(ids), [])
  await system.start({ name: 'later', file: 'act' })
  const jobs = await client.allEnded(ids)
  assert.deepEqual(
    jobs.map(({ result }) => result),
    [2, 4, 6],
  )
})

test('a stage that is deactivated starts nothing, keeps what came, and does it when reactivated', async () => {
  const operate = (verb: string) => system.operator.call('POST', `/v1/stages/later@1/${verb}`)
  await operate('deactivate')
  await until('its instance to be quiet', async () =>
    (await stageOf('later@1')).instances.every(({ state }) => state === 'deactivated'),
  )
  const quietAt = Date.now()
  const ids = await client.submitBatch('early', [10, 20])
  const refused = await system.operator.send('POST', '/v1/stages/later@1/deactivate')
  assert.equal(refused.status, 409)
  await until('the dispatcher to have had its turn', () => Date.now() > quietAt + 1_000)
  await operate('reactivate')
  const reactivatedAt = Date.now()
  const jobs = await client.allEnded(ids)
  assert.deepEqual(
    jobs.map(({ result }) => result),
    [20, 40],
  )
  const during = readNoted(log).filter(
    ({ step, at, job }) => ids.includes(job) && step === 'second' && at < reactivatedAt - 50,
  )
  assert.deepEqual(during, [])
})

test('a version with other contracts is refused by name, and the old one works on', async () => {
  await system.start({ name: 'strict.1', file: 'strict' })
  await client.publish('strict', { steps: { only: { stage: 'strict@1' } } })
  await system.startUnready({ name: 'strict.3', file: 'strict-broken' })
  const verdict = await until('a verdict on the contracts', async () =>
    (await stageOf('strict@1')).contracts.find(({ version }) => version === '1.2.0'),
  )
  assert.equal(verdict.accepted, false)
  assert.match(verdict.reason ?? '', /unit|\bn\b/)
  const job = await client.run('strict', { n: 1 })
  assert.deepEqual([job.status, job.result], ['completed', { n: 2, by: '1.0.0' }])
  await system.stopStage('strict.3')
})

test('a compatible version takes over under load: nothing fails, nothing is lost', async () => {
  const inputs = Array.from({ length: 200 }, (_, index) => ({ n: index }))
  const submitted: string[] = [...(await client.submitBatch('strict', inputs))]
  await system.start({ name: 'strict.2', file: 'strict-next' })
  submitted.push(...(await client.submitBatch('strict', inputs)))
  await until('the two versions to share the work', async () => {
    const { instances } = await stageOf('strict@1')
    return instances.length === 2 && instances.every(({ partitions }) => partitions.length > 0)
  })
  submitted.push(...(await client.submitBatch('strict', inputs)))
  await system.stopStage('strict.1')
  submitted.push(...(await client.submitBatch('strict', inputs)))
  const jobs = await client.allEnded(submitted, 60_000)
  const versions = new Set<string>()
  for (const [at, { status, result }] of jobs.entries()) {
    assert.equal(status, 'completed')
    const { n, by } = result as { n: number; by: string }
    assert.equal(n, (at % inputs.length) + 1)
    versions.add(by)
  }
  assert.deepEqual([...versions].sort(), ['1.0.0', '1.1.0'])
})

test('three instances share six partitions; one that stops and one that comes make nothing start twice', async () => {
  const names = ['shared.1', 'shared.2', 'shared.3']
  const start = (name: string) => system.start({ name, file: 'act', partitions: 6 })
  await start('shared.1')
  await Promise.all([start('shared.2'), start('shared.3')])
  await until('each to have two partitions of each lane', async () => {
    const { instances } = await stageOf('shared@1')
    return instances.length === 3 && instances.every(({ partitions }) => partitions.length === 4)
  })
  const config = { ms: 20, log }
  await client.publish('shared', { steps: { only: act('slow', { stage: 'shared@1', config }) } })
  const inputs = Array.from({ length: 600 }, (_, index) => index)
  const spread = await client.submitBatch('shared', inputs)
  await client.allEnded(spread)
  const pids = readNoted(log).flatMap(({ job, pid }) => (spread.includes(job) ? [pid] : []))
  assert.equal(pids.length, inputs.length)
  const shares = names.map((name) => {
    const own = system.pid(name)
    return pids.filter((pid) => pid === own).length / pids.length
  })
  for (const share of shares) assert.ok(Math.abs(share - 1 / 3) <= 0.07, `shares are ${shares}`)

  const ids = await client.submitBatch('shared', inputs)
  await until('the work to be under way', () => startOrder(ids).length > 20)
  const stoppingAt = performance.now()
  const stopping = system.pid('shared.2')
  await system.stopStage('shared.2')
  assert.ok(performance.now() - stoppingAt < 10_000, 'it stopped within its grace')
  const jobs = await client.allEnded(ids, 60_000)
  assert.deepEqual(
    jobs.map(({ result }) => result),
    inputs,
  )
  assert.ok(
    readNoted(log).some(({ job, pid }) => ids.includes(job) && pid === stopping),
    'it had work to do',
  )
  assert.deepEqual(startOrder(ids).toSorted(), ids.toSorted())

  const more = await client.submitBatch('shared', inputs)
  await until('the work to be under way', () => startOrder(more).length > 20)
  await start('shared.4')
  await until('it to have its share', async () => {
    const { instances } = await stageOf('shared@1')
    return instances.length === 3 && instances.every(({ partitions }) => partitions.length === 4)
  })
  await client.allEnded(more, 60_000)
  assert.deepEqual(startOrder(more).toSorted(), more.toSorted())
})
