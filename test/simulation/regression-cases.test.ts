import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, type Plan, type StepDocument, type TaskReport } from '@weir/contracts'
import type { JoinedBody } from '../../libs/core/src/message/result.ts'
import { UNFINISHED_MAX } from '../../libs/core/src/partition/partition.ts'
import { compilePlan } from '../../libs/core/src/plan/compile-plan.ts'
import { fillDefaults } from '../../libs/core/src/plan/effective.ts'
import { acceptReport } from '../../libs/core/src/run/accept-report.ts'
import { decideRun, terminalEvent } from '../../libs/core/src/run/decide-run.ts'
import { foldEvent } from '../../libs/core/src/run/fold-event.ts'
import { type RunState, startRun } from '../../libs/core/src/run/run-state.ts'
import { cancel, createScript, HORIZON_MS, type Hold, ok, retry, type Script } from './script.ts'

const HOUR_MS = 3_600_000

function planOf(steps: Record<string, Partial<StepDocument>>): Plan {
  const document = Object.entries(steps).map(([name, step]) => [name, { stage: 'any@1', ...step }])
  const effective = fillDefaults({ onFailure: 'continue', steps: Object.fromEntries(document) })
  return compilePlan({ tenant: 'tenant', pipeline: 'p', version: 1, effective })
}

/** Index of the edge between two steps. */
function edgeOf(plan: Plan, from: string | null, to: string): number {
  const edge = plan.edges.find((each) => each.from === from && each.to === to)
  if (edge === undefined) throw new Error(`no edge from ${from} to ${to}`)
  return edge.index
}

const join = (policy: NonNullable<StepDocument['join']>) =>
  planOf({
    a: { stage: 'other@1' },
    b: { stage: 'other@1', after: ['a'] },
    c: { stage: 'other@1', after: ['a'] },
    e: { after: ['b', 'c'], join: policy },
  })

function assertAtRest(script: Script, hold: Hold) {
  const { partition } = hold.owner
  assert.equal(partition?.openJoins, 0, 'no join is open')
  assert.equal(partition?.unfinished, 0, 'every record is finished')
  assert.equal(hold.owner.ready.size, 0, 'nothing wants to run')
  assert.deepEqual([hold.appends.length, hold.sends.length], [0, 0], 'nothing is under way')
  assert.equal(partition?.position, script.log.end)
}

/** Folds, appends and sends until nothing is left but tasks that want to run. */
function settle(hold: Hold) {
  do {
    hold.fold()
    while (hold.appends.length > 0) hold.land()
    while (hold.sends.length > 0) hold.send()
  } while (hold.owner.behind > 0)
}

const kindsIn = (script: Script) => script.log.records.map(({ envelope }) => envelope.meta.kind)
const countOf = (script: Script, kind: string) => kindsIn(script).filter((is) => is === kind).length

test('cut join: it does not open again when the refill starts between its parts', () => {
  const plan = join({ policy: 'all', timeoutMs: HOUR_MS })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e') })
  one.fold()
  script.wait(2_000)
  script.fill()
  script.wait(2 * HORIZON_MS)
  const second = script.give({ edge: edgeOf(plan, 'c', 'e') })
  settle(one)
  one.run(ok('1'))
  settle(one)
  script.wait(1_000)
  one.commit()
  script.repeat(second)

  const two = script.own()
  assert.ok((two.owner.partition?.restoreFrom ?? 0) > 1, 'the first part is not read again')
  settle(two)
  script.wait(2 * HOUR_MS)
  script.tick(two)
  assertAtRest(script, two)
  assert.equal(countOf(script, 'joined'), 1)
  assert.equal(countOf(script, 'timeout'), 0)
})

test('cut by a neighbour: an older open join does not bring a finished one back', () => {
  const plan = planOf({
    a: { stage: 'other@1' },
    i: { stage: 'other@1', after: [{ step: 'a', each: true }] },
    b: { stage: 'other@1', after: ['i'] },
    c: { stage: 'other@1', after: ['i'] },
    e: { after: ['b', 'c'] },
  })
  const [b, c] = [edgeOf(plan, 'b', 'e'), edgeOf(plan, 'c', 'e')]
  const part = (edge: number, item: string) => ({ edge, item, counts: [2] })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give(part(b, '0'))
  script.wait(2_000)
  script.fill()
  script.wait(3 * HORIZON_MS)
  const neighbour = script.give(part(b, '1'))
  script.wait(1_000)
  script.give(part(c, '0'))
  settle(one)
  one.run(ok('1'))
  settle(one)
  one.commit()

  const two = script.own()
  assert.ok((two.owner.partition?.restoreFrom ?? 0) <= neighbour.offset)
  assert.ok((two.owner.partition?.restoreFrom ?? 0) > 1)
  settle(two)
  assert.equal(two.owner.partition?.openJoins, 1, 'the neighbour alone')
  assert.equal(two.owner.ready.size, 0)
  script.give(part(c, '1'))
  settle(two)
  two.run(ok('1'))
  settle(two)
  assertAtRest(script, two)
  assert.equal(countOf(script, 'joined'), 2)
})

test('crash before joined is acknowledged: the join fires from all its parts', () => {
  const plan = join({ policy: 'all' })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e'), payload: '"b"' })
  script.give({ edge: edgeOf(plan, 'c', 'e'), payload: '"c"' })
  one.fold()
  assert.equal(one.appends.length, 1)
  one.commit()

  const two = script.own()
  settle(two)
  const task = two.run(ok('1'))
  assert.deepEqual((JSON.parse(task.value) as JoinedBody).input, { b: 'b', c: 'c' })
  settle(two)
  assertAtRest(script, two)
})

test('late edge: what comes hours after any has fired runs nothing and leaves nothing open', () => {
  const plan = join({ policy: 'any' })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e') })
  settle(one)
  one.run(ok('1'))
  settle(one)
  one.commit()
  script.wait(5 * HOUR_MS)
  script.give({ edge: edgeOf(plan, 'c', 'e') })

  const two = script.own()
  two.fold()
  assert.equal(two.owner.partition?.counters.late, 1)
  two.commit()
  const three = script.own()
  settle(three)
  three.commit()
  settle(three)
  three.commit()
  assertAtRest(script, three)
  const four = script.own()
  settle(four)
  assertAtRest(script, four)
  assert.equal(countOf(script, 'joined'), 1)
  assert.equal(countOf(script, 'closed'), 1)
})

const fan = planOf({
  a: {},
  b: { stage: 'other@1', after: [{ step: 'a', each: true }] },
  c: { stage: 'other@1', after: [{ step: 'b', gather: true }] },
})

test('two lawful outcomes: only the first is sent, however far apart they are', () => {
  const script = createScript(fan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(fan, null, 'a') })
  one.fold()
  one.run(ok('["first"]'))
  one.land(false)
  script.wait(5 * HOUR_MS)

  const two = script.own()
  // The new owner runs the source before it has read the outcome.
  two.fold(2)
  two.run(ok('["second","third"]'))
  two.land()
  script.wait(5 * HOUR_MS)
  settle(two)
  assert.deepEqual(
    script.sent.map(({ payload }) => payload),
    ['"first"'],
  )
  assert.equal(script.reports.length, 1)
  assertAtRest(script, two)
})

test('zombie outcome: what an older owner writes after the new one came is ignored and counted', () => {
  const script = createScript(fan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(fan, null, 'a') })
  one.fold()
  one.run(ok('["zombie"]'))
  const two = script.own()
  one.land(false)
  settle(two)
  assert.equal(two.owner.partition?.counters.zombies, 1)
  assert.equal(script.sent.length, 0)
  two.run(ok('["real"]'))
  settle(two)
  assert.deepEqual(
    script.sent.map(({ payload }) => payload),
    ['"real"'],
  )
  assertAtRest(script, two)
})

test('outcome half sent: all five items arrive, with equal counts', () => {
  const script = createScript(fan, 'any@1', { instalment: 3 })
  const one = script.own()
  script.give({ edge: edgeOf(fan, null, 'a') })
  one.fold()
  one.run(ok('[0,1,2,3,4]'))
  one.land()
  one.fold()
  assert.equal(one.send().messages.length, 3)
  one.commit()

  const two = script.own()
  settle(two)
  assert.equal(new Set(script.sent.map(({ id }) => id)).size, 5)
  assert.deepEqual(new Set(script.sent.map(({ counts }) => counts.join())), new Set(['5']))
  assert.equal(new Set(script.reports.map(({ report }) => report.fanOut?.count)).size, 1)
  assertAtRest(script, two)
})

test('[] and then items: the gather sees the marker only', () => {
  const script = createScript(fan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(fan, null, 'a') })
  one.fold()
  one.run(ok('[]'))
  one.land(false)
  const two = script.own()
  two.fold(2)
  two.run(ok('[1,2]'))
  settle(two)
  assert.deepEqual(
    script.sent.map(({ kind, edge }) => [kind, edge.index]),
    [['empty', edgeOf(fan, 'b', 'c')]],
  )
  assertAtRest(script, two)
})

const line = planOf({ a: {}, b: { stage: 'other@1', after: ['a'] } })

test('late attempt: it is not run once the task has been decided', () => {
  const script = createScript(line, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(line, null, 'a') })
  one.fold()
  one.run(retry(20_000))
  const second = one.land(false)

  const two = script.own()
  two.fold(2)
  two.run(ok('1'))
  settle(two)
  // The delay topic returns its copy, without a generation.
  script.wait(20_000)
  script.giveBack(second)
  settle(two)
  assert.equal(two.owner.ready.size, 0)
  assertAtRest(script, two)
})

test('retry after a rebalance: a delayed attempt runs at a newer owner', () => {
  const script = createScript(line, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(line, null, 'a') })
  one.fold()
  one.run(retry(60_000))
  const second = one.moveAway()
  one.commit()
  script.own()
  const three = script.own()
  three.fold()
  assert.equal(three.owner.ready.size, 0)
  script.wait(HOUR_MS)
  script.giveBack(second)
  three.fold()
  const task = three.run(ok('1'))
  assert.equal(task.attempt, 2)
  settle(three)
  assertAtRest(script, three)
})

/** The ledger's part: reports in, state out. */
function createRun(plan: Plan) {
  const state = startRun(plan)
  const say = (step: string, report: Partial<TaskReport>) => {
    const whole: TaskReport = { item: '', status: 'completed', attempt: 1, at: 0, ...report }
    const output = whole.status === 'completed' ? (report.output ?? '1') : undefined
    const given =
      output === undefined ? whole : { ...whole, output, digest: report.digest ?? digestOf(output) }
    const { events } = acceptReport(state, plan, step, given, 0)
    for (const event of events) foldEvent(state, plan, event)
  }
  const end = () => {
    const decision = decideRun(state, plan)
    if (decision === null) return null
    foldEvent(state, plan, terminalEvent(state, decision, '2026-01-01T00:00:00.000Z'))
    return decision
  }
  return { state, say, end }
}

const isDiverged = (state: RunState, plan: Plan, name: string) =>
  state.steps[plan.steps.findIndex((step) => step.name === name)]?.diverged

test('early fail redriven: every redrive ends', () => {
  const plan = planOf({
    a: {},
    b: { after: ['a'] },
    c: { after: ['a'] },
    d: { after: ['a'] },
    f: { after: ['a'] },
    e: { after: ['b', 'c', 'd', 'f'], join: { policy: 'quorum', n: 3 } },
  })
  const error = { code: 'x', message: 'x', class: 'permanent' } as const
  const { state, say, end } = createRun(plan)
  const unsatisfied = { ...error, code: 'join_unsatisfied' }
  const missing = [[edgeOf(plan, 'f', 'e'), '']] as const
  say('a', {})
  say('b', { status: 'failed', error })
  say('c', { status: 'failed', error })
  say('d', {})
  say('e', { status: 'failed', error: unsatisfied, missing })
  const first = end()
  assert.equal(first?.status, 'failed')
  assert.deepEqual(first?.superseded, ['f'])

  const again = (['b', 'c', 'f', 'e'] as const).map((step) => [step, ['']] as const)
  for (const [run, fixed] of [
    [2, false],
    [3, true],
  ] as const) {
    foldEvent(state, plan, {
      run,
      type: 'job.rerun',
      at: '2026-01-01T00:00:00.000Z',
      data: { again },
    })
    assert.equal(end(), null, 'a redrive does not end before it has run')
    say('b', {})
    say('c', fixed ? {} : { status: 'failed', error })
    say('f', fixed ? {} : { status: 'failed', error })
    say('e', fixed ? {} : { status: 'failed', error: unsatisfied })
    assert.equal(end()?.status, fixed ? 'completed' : 'failed', `run ${run}`)
  }
})

test('ok, then cancel: the run ends and the step is diverged', () => {
  const script = createScript(line, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(line, null, 'a') })
  one.fold()
  one.run(ok('1'))
  const [acknowledged] = one.sends
  assert.ok(acknowledged?.report, 'the event goes out with the output')
  script.reports.push(acknowledged.report)

  const two = script.own()
  two.fold()
  two.run(cancel)
  settle(two)
  assert.deepEqual(
    script.sent.map(({ kind }) => kind),
    ['failed'],
  )
  const { state, say, end } = createRun(line)
  for (const { step, report } of script.reports) say(step.name, report)
  say('b', {
    status: 'skipped',
    failedBefore: true,
    took: [[edgeOf(line, 'a', 'b'), '', 'failed']],
  })
  assert.notEqual(end()?.status, 'completed')
  assert.ok(isDiverged(state, line, 'a'))
})

test('ok, then skip: the consumer that took the marker shows the divergence', () => {
  const consumer = createScript(line, 'other@1')
  const hold = consumer.own()
  consumer.give({ edge: edgeOf(line, 'a', 'b'), kind: 'skipped', payload: 'null' })
  settle(hold)
  const { state, say, end } = createRun(line)
  say('a', {})
  for (const { step, report } of consumer.reports) say(step.name, report)
  assert.ok(isDiverged(state, line, 'a'))
  assert.equal(end()?.status, 'completed')
})

test('consumed and superseded: the run waits for the item that a fired join has in hand', () => {
  const plan = planOf({
    a: { stage: 'other@1' },
    b: { stage: 'other@1', after: [{ step: 'a', each: true }] },
    c: { stage: 'other@1', after: ['a'] },
    e: { after: [{ step: 'b', gather: true }, 'c'], join: { policy: 'any' } },
  })
  const script = createScript(plan, 'any@1')
  const hold = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e'), item: '0', counts: [2] })
  script.give({ edge: edgeOf(plan, 'c', 'e') })
  settle(hold)
  hold.run(ok('1'))
  settle(hold)
  const { say, end } = createRun(plan)
  say('a', { fanOut: { marker: 'items', count: 2 } })
  say('c', {})
  for (const { step, report } of script.reports) say(step.name, report)
  assert.equal(end(), null, 'item 0 was taken and has not been reported')
  say('b', { item: '0' })
  const decision = end()
  assert.equal(decision?.status, 'completed')
  assert.deepEqual(decision?.superseded, ['b'])
})

test('metadata full: with the lowest record unfinished the partition goes on at a new owner', () => {
  const inside = planOf({
    a: { stage: 'other@1' },
    b: { after: [{ step: 'a', each: true }] },
    c: { stage: 'other@1', after: [{ step: 'b', gather: true }] },
  })
  const script = createScript(inside, 'any@1')
  const one = script.own()
  const count = 3 * UNFINISHED_MAX
  for (let item = 0; item < count; item += 1) {
    script.give({ edge: edgeOf(inside, 'a', 'b'), item: String(item), counts: [count] })
  }
  one.fold()
  assert.ok(one.owner.partition?.full)
  // Every other one finishes, until as many as may be are unfinished and apart.
  let turn = 0
  const lowest = [...one.owner.ready][0]
  while (one.owner.behind > 0) {
    const tasks = [...one.owner.ready].filter((task) => task !== lowest)
    turn += 1
    const task = tasks[turn % tasks.length]
    assert.ok(task !== undefined)
    one.owner.start(task, 0, 0)
    one.owner.end(task, ok('1'), 0)
    one.send()
    one.fold()
  }
  one.commit()
  assert.ok(script.commit.text.length < 4_096)
  assert.equal(script.commit.offset, lowest?.offset)

  const two = script.own()
  two.fold()
  assert.equal(two.owner.partition?.unfinished, UNFINISHED_MAX)
  while (two.owner.ready.size > 0) {
    two.run(ok('1'))
    settle(two)
  }
  assertAtRest(script, two)
  two.commit()
  assert.equal(script.commit.offset, script.log.end)
})

test('cancel after the end: a superseded branch that cancels closes its join', () => {
  const plan = join({ policy: 'any' })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e') })
  settle(one)
  one.run(ok('1'))
  settle(one)
  assert.equal(one.owner.partition?.openJoins, 1)
  script.give({ edge: edgeOf(plan, 'c', 'e'), kind: 'skipped', payload: 'null' })
  one.fold()
  one.commit()
  settle(one)
  assertAtRest(script, one)
})

test('a late edge beside an unfinished record does not fire its join again at the next owner', () => {
  const plan = planOf({
    a: { stage: 'other@1' },
    b: { stage: 'other@1', after: ['a'] },
    c: { stage: 'other@1', after: ['a'] },
    e: { after: ['b', 'c'], join: { policy: 'any' } },
    x: { after: ['a'] },
  })
  const script = createScript(plan, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(plan, 'b', 'e') })
  settle(one)
  one.run(ok('1'))
  settle(one)
  script.wait(2_000)
  script.fill()
  script.wait(HOUR_MS)
  script.give({ edge: edgeOf(plan, 'a', 'x') })
  script.give({ edge: edgeOf(plan, 'c', 'e') })
  one.fold()
  one.commit()
  settle(one)
  one.commit()

  const two = script.own()
  settle(two)
  two.run(ok('1'))
  settle(two)
  assertAtRest(script, two)
  assert.equal(countOf(script, 'joined'), 1)
})

test('a duplicate that is read hours after it came is told by the times in the log', () => {
  const script = createScript(line, 'any@1')
  const one = script.own()
  const first = script.give({ edge: edgeOf(line, null, 'a') })
  settle(one)
  one.run(ok('1'))
  settle(one)
  script.wait(5_000)
  script.repeat(first)
  // The partition is busy meanwhile, and its clock goes on.
  for (let hour = 0; hour < 3; hour += 1) {
    script.wait(HOUR_MS)
    script.tick(one)
  }
  settle(one)
  assert.equal(one.owner.partition?.counters.duplicates, 1)
  assertAtRest(script, one)
})

test('a retry that is read while its older attempt is being sent is not lost with a crash', () => {
  const script = createScript(line, 'any@1')
  const one = script.own()
  script.give({ edge: edgeOf(line, null, 'a') })
  one.fold()
  one.run(retry(0))
  one.land(false)

  // The next owner runs the first attempt again, reads the retry, and dies before it has sent.
  const two = script.own()
  two.fold(2)
  two.run(ok('1'))
  two.fold()
  assert.equal(two.owner.ready.size, 0)
  two.commit()

  const three = script.own()
  settle(three)
  script.wait(1_000)
  script.tick(three)
  three.run(retry(0))
  settle(three)
  script.tick(three)
  three.run(ok('1'))
  settle(three)
  assert.equal(script.sent.length, 1)
  assertAtRest(script, three)
})
