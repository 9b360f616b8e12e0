import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, PlanStep, StageRef } from '@weir/contracts'
import type { QueueHead } from '@weir/postgres'
import fc from 'fast-check'
import { CLAIM_MAX, pickJobs, type StageCredits } from './pick-jobs.ts'
import { createRoom } from './room.ts'

const head = (planId: string, band: number, virtualFinish = 0): QueueHead =>
  ({ planId, band, tenant: 't', pipeline: 'p', virtualFinish, weight: 1, queuedAt: 0 }) as QueueHead

/** One plan per list of stages, named after it. */
const planOn = (id: string, tenant = 't'): Plan =>
  ({
    id,
    tenant,
    steps: id.split('+').map((stage) => ({ stage: stage as StageRef }) as PlanStep),
  }) as unknown as Plan
const plansOf = (heads: readonly QueueHead[]) =>
  new Map(heads.map(({ planId }) => [planId, planOn(planId.split('/')[0] as string)]))

const limits: Record<string, number> = { full: 0, narrow: 3, one: 1, wide: 1_000 }
const newRoom = () => createRoom((stage) => limits[stage] ?? 0)
const sum = (numbers: readonly number[]) => numbers.reduce((all, number) => all + number, 0)

const pick = (heads: readonly QueueHead[], credits?: StageCredits) =>
  pickJobs(heads, plansOf(heads), newRoom(), credits)

test('a plan without room is left out, so it does not block the others', () => {
  const { picks } = pick([head('full', 1), head('full+wide', 2), head('wide', 1)])
  assert.deepEqual(picks, [{ planId: 'wide', band: 1, limit: CLAIM_MAX }])
})

test('waiting bands share a claim 8:4:2:1, upper bands more', () => {
  const { bandLimits } = pick([0, 1, 2, 3].map((band) => head('wide', band)))
  const [low, normal, high, system] = bandLimits
  assert.ok(Math.abs(system / low - 8) < 0.5 && Math.abs(high / low - 4) < 0.3)
  assert.ok(Math.abs(normal / low - 2) < 0.2)
  assert.equal(sum(bandLimits), CLAIM_MAX)
})

test('a band that waits alone gets the whole claim, and nothing is tight then', () => {
  const { bandLimits, isTight } = pick([head('wide', 0)])
  assert.deepEqual([bandLimits, isTight], [[CLAIM_MAX, 0, 0, 0], false])
})

test('a slot is given once, however many plans and bands could use it', () => {
  const heads = ['narrow', 'narrow+wide', 'wide+narrow'].flatMap((id) =>
    [0, 1, 2, 3].map((band) => head(id, band)),
  )
  const { bandLimits, isTight } = pick(heads)
  assert.deepEqual([sum(bandLimits), isTight], [3, true])
})

test('with one slot at a time the bands still get 8:4:2:1 of it', () => {
  const sums = [0, 0, 0, 0]
  let credits: StageCredits | undefined
  for (let round = 0; round < 150; round += 1) {
    const picked = pick(
      [0, 1, 2, 3].map((band) => head('one', band)),
      credits,
    )
    credits = picked.credits
    for (const [band, count] of picked.bandLimits.entries()) sums[band] = (sums[band] ?? 0) + count
  }
  assert.deepEqual(sums, [10, 20, 40, 80])
})

test('what flows past a narrow stage does not count there', () => {
  const lows: number[] = []
  let credits: StageCredits | undefined
  for (let round = 0; round < 90; round += 1) {
    const picked = pick([head('one', 3), head('one', 0), head('wide', 0)], credits)
    credits = picked.credits
    lows.push(picked.picks.filter(({ planId, band }) => planId === 'one' && band === 0).length)
  }
  assert.equal(sum(lows), 10)
})

test('within a band the lowest virtual finish goes first', () => {
  const { picks } = pick([head('narrow/a', 1, 10), head('narrow/b', 1, 8.5)])
  assert.deepEqual(picks, [
    { planId: 'narrow/a', band: 1, limit: 1 },
    { planId: 'narrow/b', band: 1, limit: 2 },
  ])
})

/** Heads of tenants that want the same stage, and a room in which each holds so many slots of it. */
function rivals(limit: number, held: Readonly<Record<string, number>>, waiting: readonly string[]) {
  const tenants = [...new Set([...Object.keys(held), ...waiting])]
  const plans = new Map(
    tenants.map((tenant) => [
      `${tenant}/plan`,
      { ...planOn('shared', tenant), id: `${tenant}/plan` },
    ]),
  )
  const room = createRoom(() => limit)
  for (const [tenant, count] of Object.entries(held)) {
    for (let job = 0; job < count; job += 1) {
      room.take(plans.get(`${tenant}/plan`) as Plan, `${tenant}${job}`, 1)
    }
  }
  const heads = waiting.map((tenant, at) => ({ ...head(`${tenant}/plan`, 1, at * 1_000), tenant }))
  const { picks } = pickJobs(heads as QueueHead[], plans as ReadonlyMap<string, Plan>, room)
  return Object.fromEntries(picks.map(({ planId, limit: most }) => [planId.split('/')[0], most]))
}

test('while others wait a tenant gets no more than half of a limit, wherever it stands in line', () => {
  assert.deepEqual(rivals(10, { slow: 7 }, ['slow', 'other']), { other: 3 })
  assert.deepEqual(rivals(10, { slow: 3 }, ['slow', 'other']), { slow: 2, other: 5 })
  // What it holds there is let go before it gets more, by any of its pipelines.
  assert.deepEqual(rivals(10, { slow: 5, other: 4 }, ['slow', 'other']), { other: 1 })
})

test('a tenant that waits alone may have all of a limit, and one slot goes to whoever is first', () => {
  assert.deepEqual(rivals(10, { slow: 7 }, ['slow']), { slow: 3 })
  assert.deepEqual(rivals(10, { slow: 7, other: 1 }, ['slow']), { slow: 2 })
  assert.deepEqual(rivals(1, {}, ['slow', 'other']), { slow: 1 })
})

test('a queue that waits alone is given as much at once as slot by slot', () => {
  const runs = fc.array(fc.constantFrom('t', 'other'), { maxLength: 30 })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 }), runs, runs, (limit, atNarrow, atWide) => {
      const room = createRoom((stage) => (stage === 'narrow' ? limit : 25))
      for (const [stage, tenants] of [
        ['narrow', atNarrow],
        ['wide', atWide],
      ] as const) {
        for (const [at, tenant] of tenants.entries())
          room.take(planOn(stage, tenant), `${stage}${at}`, 1)
      }
      const one = head('narrow+wide', 2)
      const given = (heads: readonly QueueHead[]) =>
        sum(pickJobs(heads, plansOf(heads), room).bandLimits)
      // The same queue told of twice takes the other way.
      assert.equal(given([one]), given([one, one]))
    }),
  )
})
