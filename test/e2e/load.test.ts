import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import type { GateRecord } from '@weir/contracts'
import { act } from '../support/act-step.ts'
import type { Client, JobEvent } from '../support/api-client.ts'
import { startSystem } from '../support/system.ts'
import { until as untilWithin } from '../support/until.ts'

const run = promisify(execFile)
const CONCURRENCY = 4
/** Gates are believed for two seconds: on a machine that is short of time they are often unknown. */
const SOON_MS = 60_000

const system = await startSystem({
  stages: [
    { name: 'first', file: 'act' },
    { name: 'slow', file: 'act', partitions: 2 },
    { name: 'timed', file: 'act' },
    { name: 'counted', file: 'act' },
  ],
  watchdogs: 2,
  env: { WEIR_CONCURRENCY: String(CONCURRENCY) },
})
after(() => system.stop())
const { client } = await system.tenant('load')

const until = <Value>(what: string, condition: () => Value | Promise<Value>) =>
  untilWithin(what, condition, SOON_MS)

type FlowStage = {
  readonly stage: string
  readonly lane: string
  readonly state: string
  readonly lag: number
  readonly lagMs: number
  readonly oldestAgeMs: number
  readonly drainRate: number
  readonly inFlight: number
  readonly inFlightLimit: number
  readonly reason: string | null
  readonly since: string
  readonly seq: number
}
type Flow = {
  readonly at: string
  readonly stages: readonly FlowStage[]
  readonly queue: { readonly queued: number; readonly oldestAgeMs: number }
  readonly bottleneck: { readonly stage: string; readonly why: string } | null
  readonly refused: { readonly tenant: number; readonly platform: number }
}

const flowOf = (by: Client) => by.get<Flow>('/v1/flow')
const levelOf = async (stage: string, by = system.operator): Promise<FlowStage> => {
  const found = (await flowOf(by)).stages.find(
    (one) => one.stage === stage && one.lane === 'normal',
  )
  assert.ok(found !== undefined, `${stage} is not in the flow`)
  return found
}
const isKnown = async (stage: string) => (await levelOf(stage)).state === 'open'
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

test('behind a slow stage lag and age rise, the rate is what it can do, and all fall again', async () => {
  await client.publish('slow', {
    steps: { only: act('slow', { stage: 'slow@1', config: { ms: 100 } }) },
  })
  await until('nothing to wait', async () => {
    const { state, lag } = await levelOf('slow@1')
    return state === 'open' && lag === 0
  })
  const ids = await client.submitBatch('slow', numbers(480))
  const high = await until('a backlog', async () => {
    const level = await levelOf('slow@1')
    return level.lag > 200 && level.oldestAgeMs > 1_000 && level
  })
  assert.ok(high.inFlight >= high.lag - 1, `${high.inFlight} in flight, ${high.lag} wait`)
  const busy = await until('the rate to be that of the stage', async () => {
    const level = await levelOf('slow@1')
    return level.oldestAgeMs > high.oldestAgeMs && level.lag < high.lag && level
  })
  const most = CONCURRENCY * 10
  assert.ok(busy.drainRate > 0 && busy.drainRate < most * 1.25, `${busy.drainRate}/s`)
  const expectedMs = (busy.lag * 1_000) / busy.drainRate
  assert.ok(Math.abs(busy.lagMs - expectedMs) < expectedMs * 0.02 + 50)
  await until('it to be the bottleneck', async () => {
    return (await flowOf(system.operator)).bottleneck?.stage === 'slow@1'
  })
  const jobs = await client.allEnded(ids)
  assert.ok(jobs.every(({ status }) => status === 'completed'))
  const empty = await until('nothing to wait', async () => {
    const level = await levelOf('slow@1')
    return level.lag === 0 && level.inFlight === 0 && level
  })
  assert.equal(empty.oldestAgeMs, 0)
  assert.equal(empty.lagMs, 0)
  assert.ok(empty.seq > high.seq)
  assert.equal((await flowOf(system.operator)).bottleneck, null)
})

test('exactly what is there is told, while the stage is away and while its gate is closed', async () => {
  await system.start({ name: 'away', file: 'act' })
  await client.publish('away', { steps: { only: act('echo', { stage: 'away@1' }) } })
  await client.run('away', 0)
  await until('the gate to be open', () => isKnown('away@1'))
  await until('nothing to wait', async () => (await levelOf('away@1')).lag === 0)
  await system.stopStage('away')
  const ids = await client.submitBatch('away', numbers(37))
  await until('all of them to wait', async () => (await levelOf('away@1')).lag === 37)
  const held = `weir_dispatch_stage_slots{stage="away@1"}`
  const behind = `weir_stage_lag_records{lane="normal",stage="away@1"}`
  // The watchdog and the dispatcher tell their figures once a second, each at its own moment.
  await until('the watchdog to show them', async () => {
    return (await system.metrics(await leading())).get(behind) === 37
  })
  await until('the dispatcher to show them', async () => {
    return (await system.metrics('dispatcher')).get(held) === 37
  })
  await until('the API to show them', async () => (await levelOf('away@1')).inFlight === 37)

  await system.operator.call('POST', '/v1/stages/away@1/deactivate')
  const closed = await until('the gate to be closed', async () => {
    const level = await levelOf('away@1')
    return level.state === 'closed' && level
  })
  assert.deepEqual([closed.reason, closed.inFlightLimit, closed.lag], ['deactivated', 0, 37])
  assert.ok(Date.parse(closed.since) > Date.now() - 60_000)
  await client.submitBatch('away', numbers(5))
  await until('five to wait at the door', async () => (await flowOf(client)).queue.queued === 5)
  await until('the operator to see them too', async () => {
    return (await flowOf(system.operator)).queue.queued === 5
  })
  const bottleneck = await until('the closed stage to be the bottleneck', async () => {
    const now = (await flowOf(system.operator)).bottleneck
    return now?.stage === 'away@1' && now
  })
  assert.equal(bottleneck.why, 'its gate is closed (deactivated), 37 records behind it')

  await system.operator.call('POST', '/v1/stages/away@1/reactivate')
  await system.start({ name: 'away.2', file: 'act' })
  assert.ok((await client.allEnded(ids)).every(({ status }) => status === 'completed'))
  await until('nothing to wait', async () => {
    const level = await levelOf('away@1')
    return level.state === 'open' && level.lag === 0 && level.inFlight === 0
  })
})

test('a tenant sees the gates and its own queue, and nothing of the load of others', async () => {
  const { client: other } = await system.tenant('other')
  const flow = await flowOf(other)
  assert.ok(flow.stages.length >= 8)
  for (const one of flow.stages) {
    const { lag, lagMs, oldestAgeMs, drainRate, inFlight } = one
    assert.deepEqual([lag, lagMs, oldestAgeMs, drainRate, inFlight], [null, null, null, null, null])
  }
  assert.deepEqual(flow.queue, { queued: 0, oldestAgeMs: 0 })
  assert.equal(flow.bottleneck, null)
  const { status } = await other.send('GET', '/v1/stages/slow@1/telemetry')
  assert.equal(status, 403)
})

test('the stream tells of a change, and is silent where nothing changes', async () => {
  const stop = AbortSignal.timeout(SOON_MS)
  const response = await fetch(`${system.api}/v1/flow/stream`, {
    headers: { authorization: `Bearer ${client.key}` },
    signal: stop,
  })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.ok(response.body !== null)
  const seen: Flow[] = []
  let text = ''
  const chunks = response.body.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  const next = async (): Promise<Flow> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end >= 0) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
        text = text.slice(end + 2)
        if (data !== undefined) {
          seen.push(JSON.parse(data) as Flow)
          return seen.at(-1) as Flow
        }
        continue
      }
      const { value, done } = await chunks.next()
      if (done === true) throw new Error('the stream ended')
      text += value
    }
  }
  const stateOf = (flow: Flow) => flow.stages.find(({ stage }) => stage === 'counted@1')?.state
  let flow = await next()
  while (stateOf(flow) !== 'open') flow = await next()
  const before = seen.length
  await system.operator.call('POST', '/v1/stages/counted@1/deactivate')
  flow = await next()
  while (stateOf(flow) !== 'closed') flow = await next()
  await system.operator.call('POST', '/v1/stages/counted@1/reactivate')
  while (stateOf(flow) !== 'open') flow = await next()
  const frames = seen.length - before
  assert.ok(frames <= 10, `${frames} frames for two changes`)
  await response.body.cancel().catch(() => {})
})

type Telemetry = {
  readonly processed: number
  readonly completed: number
  readonly failed: number
  readonly retried: number
  readonly dropped: number
  readonly duplicatesSuppressed: number
  readonly late: number
  readonly waitMs: Quantiles
  readonly workMs: Quantiles
  readonly throughput: number
  readonly lastError: { readonly code: string; readonly at: string } | null
  readonly since: string
}
type Quantiles = Readonly<Record<'min' | 'mean' | 'p50' | 'p95' | 'p99' | 'max', number>>
const telemetryOf = (ref: string) => system.operator.get<Telemetry>(`/v1/stages/${ref}/telemetry`)

test('after exactly so many jobs, failures and retries the telemetry says exactly these', async () => {
  await client.publish('counted', {
    steps: {
      only: act('echo', { stage: 'counted@1', retry: { attempts: 3, baseMs: 10, maxMs: 20 } }),
    },
  })
  const inputs = [
    ...numbers(40),
    ...numbers(7).map(() => ({ do: 'fail', code: 'told_to' })),
    ...numbers(5).map(() => ({ do: 'flaky', failures: 2 })),
    ...numbers(3).map(() => ({ do: 'skip' })),
  ]
  await client.allEnded(await client.submitBatch('counted', inputs))
  const told = await until('all to be counted', async () => {
    const now = await telemetryOf('counted@1')
    return now.processed >= 55 && now
  })
  const { processed, completed, failed, retried, dropped, duplicatesSuppressed, late } = told
  assert.deepEqual(
    { processed, completed, failed, retried, dropped, duplicatesSuppressed, late },
    {
      processed: 55,
      completed: 45,
      failed: 7,
      retried: 10,
      dropped: 0,
      duplicatesSuppressed: 0,
      late: 0,
    },
  )
  assert.ok(['told_to', 'flaky'].includes(told.lastError?.code ?? ''))
  assert.ok(Date.parse(told.since) <= Date.now())
  const shown = await system.metrics('counted')
  assert.equal(shown.get('weir_stage_tasks_completed_total'), 45)
  assert.equal(shown.get('weir_stage_tasks_failed_total'), 7)
  assert.equal(shown.get('weir_stage_tasks_retried_total'), 10)
  // Attempts: 40 + 7 + 5 × 3 + 3.
  assert.equal(shown.get('weir_stage_work_seconds_count'), 65)
})

test('wait and work are within five percent of the truth, in the API and on /metrics', async () => {
  await client.publish('timed', { steps: { only: act('slow', { stage: 'timed@1' }) } })
  const inputs = numbers(120).map((index) => ({ do: 'slow', ms: 3 + ((index * 37) % 120) }))
  const ids = await client.submitBatch('timed', inputs)
  await client.allEnded(ids)
  const events: JobEvent[] = []
  for (const id of ids) events.push(...(await client.events(id)))
  const ended = events.filter(({ type }) => type === 'task.completed')
  assert.equal(ended.length, inputs.length)
  const told = await until('all to be counted', async () => {
    const now = await telemetryOf('timed@1')
    return now.processed === inputs.length && now
  })
  const shown = await system.metrics('timed')
  for (const what of ['wait', 'work'] as const) {
    const truth = ended.map(({ data }) => data[`${what}Ms`] as number).sort((a, b) => a - b)
    const figures = told[`${what}Ms`]
    assert.equal(figures.min, truth[0])
    assert.equal(figures.max, truth.at(-1))
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
      ['p99', 0.99],
    ] as const) {
      const expected = truth[Math.ceil(share * truth.length) - 1] as number
      const isNear = (value: number) => Math.abs(value - expected) <= expected * 0.05 + 0.01
      assert.ok(isNear(figures[name]), `${what} ${name}: ${figures[name]}, truly ${expected}`)
      const gauge = shown.get(`weir_stage_${what}_quantile_seconds{quantile="${share}"}`) ?? 0
      assert.ok(isNear(gauge * 1_000), `${what} ${name}: ${gauge} s, truly ${expected} ms`)
    }
    assert.equal(shown.get(`weir_stage_${what}_seconds_count`), inputs.length)
  }
})

test('every refusal is counted, by its cause, and shown to the tenant that it was given', async () => {
  const name = 'weir_control_backpressure_total{cause="tenant",code="quota_exceeded",stage=""}'
  const before = (await system.metrics('control')).get(name) ?? 0
  const { client: narrow } = await system.tenant('narrow', { maxQueuedJobs: 0 })
  await narrow.publish('narrow', { steps: { only: act('echo', { stage: 'first@1' }) } })
  for (let one = 0; one < 9; one += 1) {
    const path = '/v1/pipelines/narrow/jobs'
    const { status, body } = await narrow.send('POST', path, { body: { input: one } })
    assert.deepEqual([status, body.code, body.cause], [429, 'quota_exceeded', 'tenant'])
  }
  const seen = await until('the counter', async () => {
    const now = (await system.metrics('control')).get(name) ?? 0
    return now - before >= 9 && now
  })
  assert.equal(seen - before, 9)
  const { refused } = await flowOf(narrow)
  assert.deepEqual([refused.tenant, refused.platform], [9, 0])
  assert.equal((await flowOf(client)).refused.tenant, 0)
})

async function leading(): Promise<string> {
  return until('one watchdog to lead', async () => {
    const names = ['watchdog', 'watchdog.2']
    const shown = await Promise.all(names.map((name) => system.metrics(name)))
    const leaders = names.filter((_, at) => shown[at]?.get('weir_watchdog_leading') === 1)
    return leaders.length === 1 && leaders[0]
  })
}

test('the command shows what the API has, as a table, as JSON, and live', async () => {
  const env = { ...process.env, WEIR_API: system.api, WEIR_KEY: system.operator.key }
  const weir = (...args: string[]) =>
    run(process.execPath, ['libs/cli/bin/weir.js', ...args], { env })
  await until('the gates to be known', () => isKnown('slow@1'))
  const { stdout: table } = await weir('flow')
  assert.match(table, /^queue +0 jobs, oldest 0 ms$/m)
  assert.match(table, /^bottleneck +none$/m)
  assert.match(table, /^slow@1 +normal +open +0 +0 ms +0 ms +[\d.]+\/s +0\/1000 +-$/m)
  const { stages } = JSON.parse((await weir('flow', '-o', 'json')).stdout) as Flow
  assert.ok(stages.some(({ stage, lag }) => stage === 'slow@1' && lag === 0))
  const { stdout: figures } = await weir('stage', 'telemetry', 'counted@1')
  assert.match(figures, /^processed +55$/m)
  assert.match(figures, /^work +[\d.]+ m?s/m)
  assert.match((await weir('stage', 'list', '--state', 'active')).stdout, /^slow@1 /m)

  const live = spawn(process.execPath, ['libs/cli/bin/weir.js', 'flow', '--watch'], { env })
  let told = ''
  live.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    told += chunk
  })
  const ended = once(live, 'exit')
  await until('the first look', () => /slow@1 {2}normal {2}open {2}lag 0/.test(told))
  // More than a few looks of the watchdog, which comes every two seconds where all was quiet.
  const ids = await client.submitBatch('slow', numbers(320))
  await until('the lag', () => /slow@1 {2}normal {2}open {2}lag [1-9]/.test(told))
  live.kill('SIGINT')
  assert.deepEqual((await ended)[0], 130)
  await client.allEnded(ids)
})

test('stages can be listed by their state', async () => {
  type List = { readonly stages: readonly { readonly ref: string; readonly state: string }[] }
  await system.operator.call('POST', '/v1/stages/first@1/deactivate')
  const { stages } = await system.operator.get<List>('/v1/stages?state=deactivated')
  assert.deepEqual(
    stages.map(({ ref }) => ref),
    ['first@1'],
  )
  const both = await system.operator.get<List>('/v1/stages?state=deactivated&state=active')
  const all = await system.operator.get<List>('/v1/stages')
  assert.equal(both.stages.length, all.stages.length)
  await system.operator.call('POST', '/v1/stages/first@1/reactivate')
})

test('a leader that is killed is missed, its gates are not believed, and another leads soon', async () => {
  const leader = await leading()
  await until('the gates to be known', () => isKnown('slow@1'))
  const killedAt = performance.now()
  const killed = system.kill(leader)
  await until('the gates to be unknown', async () => {
    const level = await levelOf('slow@1')
    return level.state === 'unknown' && level.lag === null && level.reason === 'not_measured'
  })
  await until('the gates to be known again', () => isKnown('slow@1'))
  const tookMs = performance.now() - killedAt
  assert.ok(tookMs < 30_000, `it took ${Math.round(tookMs)} ms`)
  await killed
  assert.ok(await leading())
  const leaders = (await system.read(system.topics.gates))
    .filter(({ value }) => value !== null)
    .map(({ value }) => (JSON.parse(String(value)) as GateRecord).leader)
  assert.ok(new Set(leaders).size >= 2)
  // Each leader has a higher number than the one before.
  assert.deepEqual(
    leaders,
    leaders.toSorted((a, b) => a - b),
  )
})
