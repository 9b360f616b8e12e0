import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decideGate, delayOf, type GateAim, type GateState, type StageLoad } from './decide-gate.ts'
import { createDrainRate } from './drain-rate.ts'

const aim: GateAim = { state: 'active', inFlightMax: 1_000, targetDelayMs: 1_000 }
const quiet: StageLoad = {
  lag: 0,
  waiting: 0,
  isWide: true,
  finished: 0,
  drainRate: 100,
  oldestAgeMs: 0,
  held: 0,
  floor: 8,
  isSettling: false,
}

/** Tells a gate of one load after the other, half a second apart; gives all decisions. */
function decideAll(loads: readonly Partial<StageLoad>[], wanted: GateAim = aim): GateState[] {
  const states: GateState[] = []
  for (const [index, load] of loads.entries()) {
    states.push(decideGate(states.at(-1), wanted, { ...quiet, ...load }, index * 500))
  }
  return states
}
const said = ({ state, reason }: GateState) => (reason === '' ? state : `${state} ${reason}`)
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

test('a stage that is not active is closed and says why, whatever its load', () => {
  for (const state of [
    'created',
    'launched',
    'deactivated',
    'terminating',
    'terminated',
  ] as const) {
    const [gate] = decideAll([{}], { ...aim, state })
    assert.deepEqual([gate?.state, gate?.inFlightLimit, gate?.reason], ['closed', 0, state])
  }
  const [gate] = decideAll([{}])
  assert.deepEqual([gate?.state, gate?.inFlightLimit, gate?.reason], ['open', 1_000, ''])
})

test('a stage that is activated again opens at once', () => {
  const [off] = decideAll([{}], { ...aim, state: 'deactivated' })
  assert.equal(said(decideGate(off, aim, quiet, 10)), 'open')
})

test('a burst that drains by itself is no pressure; what stays for two seconds is', () => {
  const late = { lag: 160, waiting: 150, held: 160 }
  const burst = decideAll(
    [{}, late, late, late, late, {}, {}].map((one, at) => ({ ...one, finished: at })),
  )
  assert.ok(burst.every((gate) => gate.state === 'open'))
  const stays = decideAll(times(6, (at) => ({ ...late, finished: at * 50 })))
  assert.deepEqual(stays.map(said), [...times(4, () => 'open'), 'throttled late', 'throttled late'])
  // What is under way and does not wait, and what can wait for a second at 100 a second.
  assert.deepEqual(
    stays.slice(4).map((gate) => gate.inFlightLimit),
    [112, 110],
  )
})

test('a stage that stands still is closed as soon as ten records’ time has passed without one', () => {
  const flows = times(3, (at) => ({ lag: 20, waiting: 5, finished: at * 50 }))
  const still = times(5, (at) => ({ lag: 70 + at * 50, waiting: 55 + at * 50, finished: 100 }))
  assert.deepEqual(
    decideAll([...flows, ...still])
      .map(said)
      .slice(2),
    ['open', 'open', ...times(4, () => 'closed stalled')],
  )
  const slow = times(30, () => ({ lag: 20, waiting: 1, finished: 7, drainRate: 1 }))
  const closedAt = decideAll(slow).findIndex((gate) => gate.state === 'closed')
  assert.equal(closedAt, 20, 'ten seconds at one record a second')
})

test('an idle stage does not stand still, nor does one that has begun to work a moment ago', () => {
  const idle = times(200, () => ({}))
  const burst = times(2, () => ({ lag: 50, waiting: 40 }))
  assert.ok(decideAll([...idle, ...burst]).every((gate) => gate.state === 'open'))
  const busy = times(200, () => ({ lag: 16, waiting: 0, oldestAgeMs: 90_000 }))
  assert.ok(
    decideAll(busy).every((gate) => gate.state === 'open'),
    'long tasks, and none waits',
  )
})

test('one partition with a fault does not shut the stage for all others', () => {
  const stuck = times(2_000, (at) => ({
    ...{ lag: 1, waiting: 1, isWide: false, oldestAgeMs: at * 500, finished: 9 },
  }))
  assert.ok(decideAll(stuck).every((gate) => gate.state === 'open'))
  // Nor does it stay shut for what is left when all others go on.
  const still = times(8, () => ({ lag: 300, waiting: 290, finished: 10 }))
  const left = { lag: 1, waiting: 1, isWide: false, finished: 10 }
  assert.equal(said(decideAll([...still, left, left]).at(-1) as GateState), 'throttled recovering')
})

test('a stage that is activated again is judged by what it does from then on', () => {
  const waits = { lag: 40, waiting: 40, finished: 10 }
  let gate: GateState | undefined
  for (let tick = 0; tick < 20; tick += 1) {
    const state = tick < 10 ? 'deactivated' : 'active'
    gate = decideGate(gate, { ...aim, state }, { ...quiet, ...waits }, tick * 500)
    if (tick === 10 || tick === 11) assert.equal(said(gate), 'open')
  }
  assert.equal(said(gate as GateState), 'closed stalled')
})

test('tasks of a minute are no stage that stands still, however seldom one is finished', () => {
  let finished = 0
  const looks = times(2_000, (at) => {
    if (at > 0 && at % 120 === 0) finished += 1
    return { lag: 3, waiting: 2, floor: 4, finished, drainRate: 1 / 60, oldestAgeMs: 90_000 }
  })
  assert.ok(decideAll(looks).every((gate) => gate.state !== 'closed'))
})

test('what stood still opens to a limit once it has finished something, and not by waiting', () => {
  const still = times(8, () => ({ lag: 300, waiting: 290, held: 300, finished: 10 }))
  const flows = times(3, (at) => ({ lag: 250, waiting: 240, held: 300, finished: 60 + at * 10 }))
  const gates = decideAll([...still, ...flows])
  assert.equal(said(gates[7] as GateState), 'closed stalled')
  assert.deepEqual(
    gates.slice(8).map(said),
    times(3, () => 'throttled recovering'),
  )
  assert.equal(gates[8]?.inFlightLimit, 160)
})

test('who goes on from another’s decision keeps a stage closed that still stands still', () => {
  const still = { lag: 300, waiting: 290, held: 300, finished: 10 }
  const before = decideAll(times(8, () => still)).at(-1) as GateState
  const taken: GateState = { ...before, finished: undefined, finishedAtMs: 0 }
  const next = decideGate(taken, aim, { ...quiet, ...still }, 9_000)
  assert.equal(said(next), 'closed stalled')
  assert.equal(said(decideGate(next, aim, { ...quiet, ...still }, 9_500)), 'closed stalled')
  const moved = decideGate(next, aim, { ...quiet, ...still, finished: 11 }, 9_500)
  assert.equal(said(moved), 'throttled recovering')
})

test('a stage that is late and holds as many records as may be in flight is closed at once', () => {
  const slow = { drainRate: 250, held: 0 }
  const gates = decideAll(
    [700, 800, 1_000, 1_200, 501, 500].map((lag, at) => ({
      ...slow,
      lag,
      waiting: lag,
      finished: at,
    })),
  )
  assert.deepEqual(gates.map(said), [
    'open',
    'throttled full',
    'closed full',
    'closed full',
    'closed full',
    'throttled recovering',
  ])
})

test('records alone close nothing: for a fast stage many are few, and it opens before it runs dry', () => {
  const fast = { drainRate: 5_000 }
  const many = times(20, (at) => ({ ...fast, lag: 4_900, waiting: 4_900, finished: at }))
  assert.ok(decideAll(many).every((gate) => gate.state === 'open'))
  const late = times(6, (at) => ({ ...fast, lag: 60_000, waiting: 60_000, finished: at }))
  const less = [6_000, 5_001, 5_000].map((lag, at) => ({
    ...fast,
    ...{ lag, waiting: lag, finished: 10 + at },
  }))
  assert.deepEqual(
    decideAll([...late, ...less])
      .map(said)
      .slice(5),
    ['closed full', 'closed full', 'closed full', 'throttled recovering'],
  )
})

test('ten times later than the target is closed, until half of that', () => {
  const late = (waiting: number, at: number) => ({ lag: waiting, waiting, finished: at })
  const waiting = [...times(6, () => 990), ...times(3, () => 501), 500]
  const gates = decideAll(waiting.map(late), { ...aim, inFlightMax: 2_000, targetDelayMs: 900 })
  assert.deepEqual(gates.map(said), [
    ...times(4, () => 'open'),
    'closed late',
    'closed late',
    ...times(3, () => 'closed late'),
    'closed late',
  ])
  const after = decideGate(
    gates.at(-1),
    { ...aim, inFlightMax: 2_000, targetDelayMs: 1_000 },
    {
      ...quiet,
      ...late(500, 99),
    },
    10_000,
  )
  assert.equal(said(after), 'throttled recovering')
})

test('while partitions move delays say nothing, and records still do', () => {
  const moving = { isSettling: true, finished: 3 }
  const gates = decideAll(times(20, () => ({ lag: 900, waiting: 890, ...moving })))
  assert.ok(gates.every((gate) => said(gate) === 'throttled full'))
  const still = decideAll(times(20, () => ({ lag: 200, waiting: 190, ...moving })))
  assert.ok(still.every((gate) => gate.state === 'open'))
  const over = decideAll(times(2, () => ({ lag: 1_000, waiting: 1_000, ...moving })))
  assert.deepEqual(over.map(said), ['throttled full', 'closed full'])
})

test('no limit is so low that a part of the stage has nothing to do', () => {
  const late = { lag: 60, waiting: 50, held: 60, drainRate: 10, floor: 40 }
  const gates = decideAll(times(30, (at) => ({ ...late, finished: at })))
  assert.equal(Math.min(...gates.map((gate) => gate.inFlightLimit)), 40)
})

test('a gate that is throttled opens when its limit has risen to the operator’s, not sooner than in ten seconds', () => {
  const late = times(6, (at) => ({ lag: 300, waiting: 290, held: 300, finished: at * 50 }))
  const calm = times(40, (at) => ({ finished: 300 + at * 10, held: 5 }))
  const gates = decideAll([...late, ...calm])
  const throttledAt = gates.findIndex((gate) => gate.state === 'throttled')
  const openAt = gates.findIndex((gate, at) => at > throttledAt && gate.state === 'open')
  assert.equal(openAt - throttledAt, 20)
  const limits = gates.slice(6, openAt).map((gate) => gate.inFlightLimit)
  assert.deepEqual(
    limits,
    limits.toSorted((a, b) => a - b),
  )
})

/** A stage behind a way of its own, fed as far as its gate allows from a queue that never ends. */
function flow(plant: {
  readonly capacity: number
  readonly serviceMs: number
  readonly wayMs: number
  readonly offered: number
  readonly seed: number
  /** Where it is more than the stage works on at once. */
  readonly floor?: number
}) {
  const STEP_MS = 50
  const wanted: GateAim = { ...aim, inFlightMax: 2_000 }
  const rate = createDrainRate()
  let random = plant.seed
  const next = () => {
    random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
    return random / 2_147_483_648
  }
  let gate: GateState | undefined
  let queued = 0
  let onTheWay: number[] = []
  const waiting: number[] = []
  let running: number[] = []
  let finished = 0
  let wasBehind = false
  const changes: number[] = []
  const delays: number[] = []
  let finishedBefore = 0
  let held = 0
  for (let atMs = 0; atMs < 180_000; atMs += STEP_MS) {
    queued += (plant.offered * STEP_MS) / 1_000
    held = onTheWay.length + waiting.length + running.length
    for (let room = (gate?.inFlightLimit ?? 16) - held; room > 0 && queued >= 1; room -= 1) {
      onTheWay.push(atMs + plant.wayMs)
      queued -= 1
    }
    waiting.push(...onTheWay.filter((dueMs) => dueMs <= atMs))
    onTheWay = onTheWay.filter((dueMs) => dueMs > atMs)
    const still = running.filter((endMs) => endMs > atMs)
    finished += running.length - still.length
    running = still
    const taken = waiting.splice(0, plant.capacity - running.length)
    for (const dueMs of taken) {
      running.push(atMs + plant.serviceMs * (0.5 + next()))
      if (atMs > 90_000) delays.push(atMs - dueMs)
    }
    if (atMs === 90_000) finishedBefore = finished
    if (atMs % 500 !== 0) continue
    const lag = waiting.length + running.length
    const oldestAgeMs = lag === 0 ? 0 : atMs - (waiting[0] ?? atMs - plant.serviceMs)
    const isBehind = oldestAgeMs > 1_000
    rate.sample(atMs, finished, isBehind && wasBehind)
    wasBehind = isBehind
    const load = {
      lag,
      waiting: waiting.length,
      finished,
      oldestAgeMs,
      held,
      isWide: true,
      isSettling: false,
    }
    const floor = plant.floor ?? plant.capacity
    const after = decideGate(gate, wanted, { ...load, floor, drainRate: rate.perSecond }, atMs)
    if (after.state !== gate?.state && atMs > 60_000) changes.push(atMs)
    gate = after
  }
  return { changes, delays, perSecond: (finished - finishedBefore) / 90, held }
}

test('whatever the stage and the way to it: twice its load leaves it busy, and what waits near the target', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 100, max: 1_000 }),
      fc.integer({ min: 0, max: 2_000 }),
      fc.integer({ min: 1, max: 2 ** 30 }),
      (capacity, serviceMs, wayMs, seed) => {
        const able = (capacity * 1_000) / serviceMs
        const { changes, delays, perSecond, held } = flow({
          ...{ capacity, serviceMs, wayMs, seed },
          offered: 2 * able,
        })
        // A step of the model costs each task up to 50 ms.
        const least = (capacity * 1_000) / (serviceMs + 50)
        assert.ok(perSecond >= 0.8 * least, `${perSecond} of ${least} a second`)
        delays.sort((a, b) => a - b)
        const p95 = delays[Math.floor(delays.length * 0.95)] as number
        const allowed = 2_500 + wayMs + 4 * serviceMs
        assert.ok(p95 <= allowed, `p95 of the delay is ${p95} ms, of ${allowed}`)
        assert.ok(changes.length <= 4, `${changes.length} changes in two minutes`)
        assert.ok(held <= 2_000)
      },
    ),
    { numRuns: 60 },
  )
})

test('a stage whose least is more than it can do in time is throttled to it, and not shut and opened', () => {
  for (const [capacity, floor, serviceMs] of [
    [1, 4, 5_000],
    [4, 8, 10_000],
    [2, 8, 20_000],
  ] as const) {
    const offered = (2 * capacity * 1_000) / serviceMs
    const { changes, perSecond } = flow({ capacity, floor, serviceMs, wayMs: 50, offered, seed: 7 })
    assert.deepEqual(changes, [], `${capacity} at once, ${serviceMs} ms each`)
    assert.ok(perSecond >= (0.9 * capacity * 1_000) / (serviceMs + 50))
  }
})

test('half of what a stage can do never moves its gate', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 64 }),
      fc.integer({ min: 100, max: 500 }),
      fc.integer({ min: 0, max: 2_000 }),
      fc.integer({ min: 1, max: 2 ** 30 }),
      (capacity, serviceMs, wayMs, seed) => {
        const offered = (capacity * 500) / (serviceMs + 50)
        const { changes, delays } = flow({ capacity, serviceMs, wayMs, offered, seed })
        assert.deepEqual(changes, [])
        assert.ok(Math.max(...delays) < 1_000)
      },
    ),
    { numRuns: 30 },
  )
})

test('the delay is that of what waits, at the rate of the stage, or its age where none is known', () => {
  assert.equal(delayOf({ waiting: 0, drainRate: 0, oldestAgeMs: 9_000 }), 0)
  assert.equal(delayOf({ waiting: 50, drainRate: 10, oldestAgeMs: 0 }), 5_000)
  assert.equal(delayOf({ waiting: 50, drainRate: 0, oldestAgeMs: 1_234 }), 1_234)
})
