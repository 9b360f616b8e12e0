import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EdgeMessageKind, FailureMode, Plan, StepDocument } from '@weir/contracts'
import fc from 'fast-check'
import type { JoinedBody } from '../../libs/core/src/message/result.ts'
import { compilePlan } from '../../libs/core/src/plan/compile-plan.ts'
import { fillDefaults } from '../../libs/core/src/plan/effective.ts'
import { createScript, type Given, type Hold, type Script } from './script.ts'

function planOf(onFailure: FailureMode, steps: Record<string, Partial<StepDocument>>): Plan {
  const document = Object.entries(steps).map(([name, step]) => [
    name,
    { stage: 'other@1', ...step },
  ])
  const effective = fillDefaults({ onFailure, steps: Object.fromEntries(document) })
  return compilePlan({ tenant: 'tenant', pipeline: 'p', version: 1, effective })
}

type Kinds = readonly [EdgeMessageKind, EdgeMessageKind, EdgeMessageKind]

/** Joins of three messages each: three edges; three items; two items and an edge. */
const joins: readonly ((mode: FailureMode, kinds: Kinds) => { plan: Plan; parts: Given[] })[] = [
  (mode, kinds) => {
    const plan = planOf(mode, {
      a: {},
      b: { after: ['a'] },
      c: { after: ['a'] },
      d: { after: ['a'] },
      e: { stage: 'any@1', after: ['b', 'c', 'd'] },
    })
    const edges = plan.steps.find(({ name }) => name === 'e')?.in ?? []
    return { plan, parts: edges.map((edge, at) => partOf(edge, kinds[at])) }
  },
  (mode, kinds) => {
    const plan = planOf(mode, {
      a: {},
      b: { after: [{ step: 'a', each: true }] },
      e: { stage: 'any@1', after: [{ step: 'b', gather: true }] },
    })
    const [edge = -1] = plan.steps.find(({ name }) => name === 'e')?.in ?? []
    return { plan, parts: kinds.map((kind, at) => partOf(edge, kind, at, 3)) }
  },
  (mode, kinds) => {
    const plan = planOf(mode, {
      a: {},
      b: { after: [{ step: 'a', each: true }] },
      c: { after: ['a'] },
      e: { stage: 'any@1', after: [{ step: 'b', gather: true }, 'c'] },
    })
    const [items = -1, plain = -1] = plan.steps.find(({ name }) => name === 'e')?.in ?? []
    const parts = [partOf(items, kinds[0], 0, 2), partOf(items, kinds[1], 1, 2)]
    return { plan, parts: [...parts, partOf(plain, kinds[2])] }
  },
]

function partOf(
  edge: number,
  kind: EdgeMessageKind | undefined,
  at?: number,
  count?: number,
): Given {
  const payload = kind === 'data' ? `"${edge}-${at ?? ''}"` : 'null'
  const item = at === undefined ? {} : { item: String(at), counts: [count ?? 0] }
  return { edge, kind: kind ?? 'data', payload, ...item }
}

function settle(hold: Hold) {
  do {
    hold.fold()
    while (hold.appends.length > 0) hold.land()
    while (hold.sends.length > 0) hold.send()
  } while (hold.owner.behind > 0)
}

/** What the join decided, by the one joined record that counted: its task, or its report. */
function decisionOf(script: Script, hold: Hold): string {
  const tasks = [...hold.owner.ready]
  assert.ok(tasks.length + script.reports.length >= 1, 'the join has decided')
  assert.ok(tasks.length <= 1, 'and once')
  const [task] = tasks
  if (task === undefined) {
    const said = new Set(script.reports.map(({ report }) => JSON.stringify({ ...report, at: 0 })))
    assert.equal(said.size, 1)
    return [...said][0] as string
  }
  const { took, missing, manifest, input } = JSON.parse(task.value) as JoinedBody
  return JSON.stringify({ took, missing, manifest, input })
}

function straight(plan: Plan, parts: readonly Given[]): string {
  const script = createScript(plan, 'any@1')
  const hold = script.own()
  for (const part of parts) script.give(part)
  settle(hold)
  return decisionOf(script, hold)
}

const kind = fc.constantFrom<EdgeMessageKind>('data', 'data', 'skipped', 'failed')

test('a join decides alike under every order, duplicates, and a crash at every point', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...joins),
      fc.constantFrom<FailureMode>('continue', 'best_effort'),
      fc.tuple(kind, kind, kind),
      fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      fc.array(fc.tuple(fc.nat(2), fc.nat(5)), { maxLength: 3 }),
      fc.boolean(),
      fc.boolean(),
      (join, mode, kinds, order, again, isLanded, commitsLate) => {
        const { plan, parts } = join(mode, kinds)
        const wanted = straight(plan, parts)
        const flow = order.map((at) => parts[at] as Given)
        for (const [which, where] of again) {
          flow.splice(Math.max(order.indexOf(which) + 1, where), 0, parts[which] as Given)
        }
        // Records of the owners between: one each, so a crash point past them all exists as well.
        for (let crashAt = 0; crashAt <= flow.length + 2; crashAt += 1) {
          const script = createScript(plan, 'any@1')
          for (const part of flow) script.give(part)
          const one = script.own()
          for (let count = 0; count < crashAt; count += 1) {
            one.fold(1)
            if (isLanded) while (one.appends.length > 0) one.land(count % 2 === 0)
            if (!commitsLate || count === crashAt - 2) one.commit()
          }
          const two = script.own()
          settle(two)
          assert.equal(decisionOf(script, two), wanted, `crash after ${crashAt}`)
          two.commit()
          const three = script.own()
          settle(three)
          assert.equal(decisionOf(script, three), wanted)
          assert.equal(three.owner.partition?.openJoins, 0)
        }
      },
    ),
    { numRuns: 150 },
  )
})
