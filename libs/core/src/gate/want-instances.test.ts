import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type ScaleInput, type ScaleState, wantInstances } from './want-instances.ts'

const scale: ScaleInput = {
  ...{ min: 1, max: 8, instances: 1, drainRate: 100, throughput: 50, downAfterMs: 60_000 },
  gate: { state: 'open', reason: '' },
  isUsedUp: true,
  isWaiting: false,
}
const late = { gate: { state: 'throttled', reason: 'late' } } as const

/** Tells the rule of one look after the other, a second apart; instances come at once. */
function wantAll(looks: readonly Partial<ScaleInput>[], instances = 1): number[] {
  let state: ScaleState | undefined
  let there = instances
  return looks.map((look, second) => {
    state = wantInstances(state, { ...scale, instances: there, ...look }, second * 1_000)
    there = look.instances ?? state.wanted
    return state.wanted
  })
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value)
const stepsOf = (wanted: readonly number[]) =>
  wanted.filter((count, at) => count !== wanted[at - 1])

test('while more comes than a stage can do it wants more, in small steps with time between', () => {
  const wanted = wantAll(times(90, { ...late, drainRate: 100 }))
  assert.deepEqual(stepsOf(wanted), [1, 2, 4, 6, 8])
  assert.deepEqual(
    [2, 4, 6, 8].map((count) => wanted.indexOf(count)),
    [5, 20, 35, 50],
  )
})

test('it wants no more than it has partitions for, and no fewer than its least', () => {
  assert.equal(Math.max(...wantAll(times(200, { ...late, max: 3 }))), 3)
  assert.equal(Math.min(...wantAll(times(500, { throughput: 0, min: 2 }), 5)), 2)
})

test('a stage that stands still, or is not active, wants as many as before', () => {
  for (const reason of ['stalled', 'deactivated']) {
    const gate = { state: 'closed', reason } as const
    assert.deepEqual(stepsOf(wantAll(times(200, { gate }), 2)), [2])
  }
})

test('when less comes it wants fewer, by what one of them has shown that it can do', () => {
  const busy = times(60, { ...late, drainRate: 400, instances: 4 })
  const wanted = wantAll([...busy, ...times(300, { throughput: 100, drainRate: 400 })], 4)
  // 100 a second use two of 100 each by half, one by all of it.
  assert.equal(wanted.at(-1), 2)
  const idle = wantAll([...busy, ...times(300, { throughput: 0, drainRate: 400 })], 4)
  assert.equal(idle.at(-1), 1)
})

test('a short lull takes none away', () => {
  const busy = times(60, { ...late, drainRate: 400, instances: 4 })
  const wanted = wantAll([...busy, ...times(59, { throughput: 0 }), ...busy], 4)
  assert.ok(wanted.every((count, at) => count >= (wanted[at - 1] ?? 0)))
})

test('a gate that is still throttled although no more comes asks for none', () => {
  const wanted = wantAll(times(60, { ...late, isUsedUp: false }), 2)
  assert.deepEqual(stepsOf(wanted), [2])
})

test('a stage without an instance gets one when something waits before it, and only then', () => {
  const nobody = { min: 0, instances: 0, throughput: 0 }
  const gate = { state: 'closed', reason: 'stalled' } as const
  const wanted = wantAll(
    [...times(5, nobody), ...times(5, { ...nobody, gate, isWaiting: true })],
    0,
  )
  assert.deepEqual(stepsOf(wanted), [0, 1])
  // What was done long ago fades and is never nothing.
  const fading = Array.from({ length: 300 }, (_, second) => ({
    ...{ min: 0, throughput: 50 * Math.exp(-second / 5) },
  }))
  assert.equal(wantAll(fading).at(-1), 0)
})

test('instances that do not come are waited for, and not for ever', () => {
  const wanted = wantAll(times(200, { ...late, instances: 1 }))
  assert.deepEqual(stepsOf(wanted).slice(0, 3), [1, 2, 4])
  assert.equal(wanted.indexOf(4) - wanted.indexOf(2), 60)
})

test('whatever is offered, the instances settle at what it needs and stay there', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 200 }),
      fc.double({ min: 0.05, max: 7.5, noNaN: true }),
      (each, load) => {
        const offered = each * load
        let state: ScaleState | undefined
        let instances = 1
        const wanted: number[] = []
        for (let second = 0; second < 900; second += 1) {
          const able = each * instances
          const gate =
            offered > able
              ? ({ state: 'throttled', reason: 'late' } as const)
              : ({ state: 'open', reason: '' } as const)
          const throughput = Math.min(offered, able)
          const look = { ...scale, instances, gate, drainRate: able, throughput }
          state = wantInstances(state, look, second * 1_000)
          instances = state.wanted
          wanted.push(instances)
        }
        assert.ok(instances * each >= Math.min(offered, 8 * each) * 0.999)
        assert.ok(instances <= Math.max(1, Math.ceil(load / 0.7)), `${instances} for ${load}`)
        assert.deepEqual(stepsOf(wanted.slice(-300)).length, 1, 'to and fro')
      },
    ),
  )
})
