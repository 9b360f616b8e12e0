import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Plan, PlanStep } from '@weir/contracts'
import { nameEvents, predictEvents } from '../../libs/core/src/run/test-support/predict-events.ts'
import type { Script, Task } from '../../libs/core/src/run/test-support/reference-run.ts'
import { act, once } from '../support/act-step.ts'
import type { Job, JobEvent } from '../support/api-client.ts'
import { assertEvents } from '../support/event-check.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const system = await startSystem({
  stages: [{ name: 'act' }, { name: 'route' }, { name: 'guard' }],
})
after(() => system.stop())
const { id: tenant, client } = await system.tenant('events')

const quick = { attempts: 3, baseMs: 20, backoff: 'constant', jitter: 'none' } as const

/** What handlers make of it where it does not follow from their steps' configs, by step or task. */
type Made = {
  readonly status?: 'completed' | 'skipped' | 'failed' | 'cancelled'
  readonly taken?: readonly string[]
  readonly count?: number
  readonly retries?: number
}

type Case = {
  readonly name: string
  readonly steps: Readonly<Record<string, unknown>>
  readonly onFailure?: string
  readonly input?: unknown
  readonly made?: Readonly<Record<string, Made>>
  /** Steps that are slower than all others and than what waits for them. */
  readonly late?: readonly string[]
}

const byDeed: Readonly<Record<string, Made>> = {
  skip: { status: 'skipped' },
  fail: { status: 'failed' },
  cancel: { status: 'cancelled' },
}

function madeBy(step: PlanStep, item: string, made: Case['made'] = {}): Made {
  return { ...byDeed[String(step.config.do)], ...(made[`${step.name}/${item}`] ?? made[step.name]) }
}

function predict(plan: Plan, { made, late = [] }: Case): string[] {
  const script: Script = {
    resultOf: (step, item) => {
      const { status = 'completed', taken } = madeBy(step, item, made)
      const error = { code: 'broken', message: 'It broke.', class: 'permanent' } as const
      return {
        status,
        ...(taken === undefined ? {} : { taken }),
        ...(status === 'failed' ? { error } : {}),
      }
    },
    countOf: (step, item) => madeBy(step, item, made).count ?? 0,
    isLate: (step) => late.includes(step),
  }
  const retriesOf = ({ step, report }: Task) => madeBy(step, report.item, made).retries ?? 0
  return predictEvents(plan, script, retriesOf)
}

async function planOf(job: Job): Promise<Plan> {
  const [row] = await system.query<{ plan: string }>(
    tenant,
    'select plan from pipeline_versions where tenant_id = $1 and name = $2 and version = $3',
    [tenant, job.pipeline, job.version],
  )
  return JSON.parse(row?.plan ?? '') as Plan
}

const modes = (onFailure: string): Case => ({
  name: `mode-${onFailure.replace('_', '-')}`,
  onFailure,
  steps: {
    start: act('echo'),
    bad: act('fail', { after: ['start'], config: { ms: 200 } }),
    after_bad: act('echo', { after: ['bad'] }),
    slow: act('slow', { after: ['start'], config: { ms: 1_200 } }),
    after_slow: act('echo', { after: ['slow'] }),
    meet: act('join', { after: ['after_bad', 'after_slow'] }),
    free: act('echo', { after: ['slow'] }),
  },
  late: ['slow'],
})

const fan = {
  split: act('echo'),
  it: act('echo', { after: [{ step: 'split', each: true }], ...once }),
  all: act('count', { after: [{ step: 'it', gather: true }] }),
}

const routed = {
  choose: { stage: 'route@1' },
  a: act('echo', { after: [{ step: 'choose', when: 'a' }] }),
  b: act('echo', { after: [{ step: 'choose', when: 'b' }] }),
  end: act('join', { after: ['a', 'b'] }),
}

const guarded = {
  pass: { stage: 'guard@1' },
  next: act('echo', { after: ['pass'] }),
}

const timed = (onTimeout: 'fail' | 'partial') => ({
  fast: act('echo'),
  slow: act('slow', { config: { ms: 6_000 } }),
  both: act('join', { after: ['fast', 'slow'], join: { timeoutMs: 500, onTimeout } }),
})

const quorum = (deeds: readonly [string, string, string]) => ({
  a: act(deeds[0]),
  b: act(deeds[1], deeds[1] === 'slow' ? { config: { ms: 6_000 } } : {}),
  c: act(deeds[2]),
  two: act('join', { after: ['a', 'b', 'c'], join: { policy: 'quorum', n: 2 } }),
})

const cases: readonly Case[] = [
  { name: 'line', steps: { one: act('echo'), two: act('echo', { after: ['one'] }) } },
  {
    name: 'long',
    steps: { one: act('progress', { config: { ms: 400, n: 4 } }) },
  },
  {
    name: 'retried',
    steps: { one: act('flaky', { retry: quick, config: { failures: 2 } }) },
    made: { one: { retries: 2 } },
  },
  {
    name: 'given-up',
    steps: { one: act('flaky', { retry: quick, config: { failures: 9 } }) },
    made: { one: { status: 'failed', retries: 2 } },
  },
  { name: 'skipped', steps: { one: act('skip'), two: act('echo', { after: ['one'] }) } },
  { name: 'failed', steps: { one: act('fail'), two: act('echo', { after: ['one'] }) } },
  { name: 'cancelled', steps: { one: act('cancel'), two: act('echo', { after: ['one'] }) } },
  {
    name: 'guarded',
    steps: guarded,
    input: 1,
  },
  {
    name: 'guarded-off',
    steps: guarded,
    input: 0,
    made: { pass: { status: 'skipped' } },
  },
  {
    name: 'routed-one',
    steps: routed,
    input: { to: ['b'], value: 5 },
    made: { choose: { taken: ['b'] } },
  },
  {
    name: 'routed-both',
    steps: routed,
    input: { to: ['a', 'b'], value: 5 },
    made: { choose: { taken: ['a', 'b'] } },
  },
  { name: 'routed-none', steps: routed, input: { to: [] }, made: { choose: { taken: [] } } },
  { name: 'fan', steps: fan, input: [1, 2, 3], made: { split: { count: 3 } } },
  { name: 'fan-empty', steps: fan, input: [], made: { split: { count: 0 } } },
  {
    name: 'fan-skipped',
    steps: fan,
    input: [1, { do: 'skip' }, 3],
    made: { split: { count: 3 }, 'it/1': { status: 'skipped' } },
  },
  {
    name: 'fan-continued',
    onFailure: 'continue',
    steps: fan,
    input: [1, { do: 'fail' }, 3],
    made: { split: { count: 3 }, 'it/1': { status: 'failed' } },
  },
  {
    name: 'fan-best-effort',
    onFailure: 'best_effort',
    steps: fan,
    input: [{ do: 'fail' }, 2],
    made: { split: { count: 2 }, 'it/0': { status: 'failed' } },
  },
  {
    name: 'nested',
    steps: {
      rows: act('grid', { config: { n: 3 } }),
      row: act('echo', { after: [{ step: 'rows', each: true, maxItems: 9 }] }),
      cell: act('double', { after: [{ step: 'row', each: true, maxItems: 9 }] }),
      sums: act('sum', { after: [{ step: 'cell', gather: true }] }),
      sum: act('sum', { after: [{ step: 'sums', gather: true }] }),
    },
    input: 2,
    made: { rows: { count: 2 }, row: { count: 3 } },
  },
  modes('fail_fast'),
  modes('continue'),
  modes('best_effort'),
  {
    name: 'any',
    steps: {
      fast: act('echo'),
      slow: act('slow', { config: { ms: 6_000 } }),
      first: act('join', { after: ['fast', 'slow'], join: { policy: 'any' } }),
    },
    late: ['slow'],
  },
  { name: 'quorum-met', steps: quorum(['echo', 'slow', 'echo']), late: ['b'] },
  {
    name: 'quorum-missed',
    onFailure: 'best_effort',
    steps: quorum(['echo', 'fail', 'fail']),
    made: { b: { status: 'failed' } },
  },
  { name: 'timed-partial', steps: timed('partial'), late: ['slow'] },
  { name: 'timed-fail', steps: timed('fail'), late: ['slow'] },
]

const seen = new Map<string, number>()

for (const one of cases) {
  test(`the events of ${one.name} are those that plan and outcomes ask for, each as often`, async () => {
    const { name, steps, onFailure, input = 'x' } = one
    await client.publish(name, { steps, ...(onFailure && { onFailure }) })
    const job = await client.run(name, input)
    const events = await client.events(job.id)
    for (const [type, count] of assertEvents(events)) seen.set(type, (seen.get(type) ?? 0) + count)
    assert.deepEqual(nameEvents(events), predict(await planOf(job), one))
    assert.equal(events.at(-1)?.type, `job.${job.status}`)
    assertHasWork(events)
  })
}

/** The members that whoever reads a log builds on. */
function assertHasWork(events: readonly JobEvent[]): void {
  for (const { type, data } of events) {
    if (type === 'task.completed') assert.equal(typeof data.workMs, 'number')
    if (type !== 'task.failed') continue
    const { code, message } = data.error as { code: string; message: string }
    assert.ok(code !== '' && message !== '')
  }
}

test('a run that is out of time ends with that, and with what its task says of it', async () => {
  await client.publish('overdue', { steps: { only: act('slow', { config: { ms: 30_000 } }) } })
  const { id } = await client.submit('overdue', 'x', { deadlineMs: 1_000 })
  const job = await client.ended(id, 15_000)
  assert.equal(job.error?.class, 'deadline')
  const events = await client.events(id)
  assertEvents(events)
  const names = nameEvents(events).filter((name) => name !== 'task.failed only')
  assert.deepEqual(names, ['job.dispatched', 'job.failed', 'job.queued'])
})

test('who may not see payloads gets events of the same schemas, without them', async () => {
  const { key } = await client.call<{ key: string }>('POST', '/v1/keys', {
    body: { name: 'viewer', role: 'viewer' },
  })
  const job = await client.run('fan', [1, 2, 3])
  const path = `/v1/jobs/${job.id}/events`
  const headers = { authorization: `Bearer ${key}` }
  const { events } = await client.call<{ events: readonly JobEvent[] }>('GET', path, { headers })
  assertEvents(events)
  assert.ok(events.every(({ data }) => data.output === undefined))
})

type Entry = {
  readonly actor: string
  readonly action: string
  readonly object: string
  readonly detail: Readonly<Record<string, unknown>> | null
}

/** Of a stage and its gates, in the order in which it came about. */
async function auditOf(stage: string): Promise<readonly string[]> {
  const { entries } = await system.operator.get<{ entries: readonly Entry[] }>(
    '/v1/audit?limit=500',
  )
  return entries
    .filter(({ object }) => object.includes(`:${stage}`))
    .map(({ actor, action, object, detail }) => {
      const { to } = detail ?? {}
      return [actor, action, object, ...(to === undefined ? [] : [to])].join(' ')
    })
    .toReversed()
}

test('what became of a stage and of its gates is in the installation’s audit log, once each', async () => {
  const expected = [
    'operator stage.register stage:guard@1',
    'weir stage.state stage:guard@1 launched',
    'weir stage.state stage:guard@1 active',
    'operator stage.deactivate stage:guard@1',
    'weir gate.changed gate:guard@1/high open',
    'weir gate.changed gate:guard@1/high closed',
    'weir gate.changed gate:guard@1/normal open',
    'weir gate.changed gate:guard@1/normal closed',
  ].toSorted()
  await system.operator.call('POST', '/v1/stages/guard@1/deactivate', { body: {} })
  const told = await until('both gates to be closed', async () => {
    const entries = await auditOf('guard@1')
    return entries.filter((entry) => entry.endsWith('closed')).length >= 2 && entries
  })
  // Before it is active its gate is closed, for another reason each time: that much is not told apart.
  const kinds = [...new Set(told)].toSorted()
  assert.deepEqual(kinds, expected)
  const order = (text: string) => told.findIndex((entry) => entry.endsWith(text))
  assert.ok(order('guard@1 launched') < order('guard@1 active'))
})

test('every type that is written by now was seen', () => {
  const expected = [
    'job.queued',
    'job.dispatched',
    'task.started',
    'task.progress',
    'task.completed',
    'task.skipped',
    'task.failed',
    'task.cancelled',
    'task.retry_scheduled',
    'join.fired',
    'job.completed',
    'job.completed_with_failures',
    'job.failed',
    'job.cancelled',
  ]
  assert.deepEqual([...seen.keys()].toSorted(), expected.toSorted())
})
