import assert from 'node:assert/strict'
import { type EdgeDocument, FAILURE_MODES, type Plan, type StepDocument } from '@weir/contracts'
import { checkPipeline } from '../../plan/check-pipeline.ts'
import { compilePlan } from '../../plan/compile-plan.ts'
import type { KnownStage } from '../../plan/known-stage.ts'
import type { Random } from './random.ts'

const ITEMS_MAX = 3
const NESTING_MAX = 2

const known = (ref: string, kind: KnownStage['kind']): [string, KnownStage] => [
  ref,
  { ref, kind, lanes: ['normal'], contracts: null },
]
const stages = new Map([known('work@1', 'work'), known('pick@1', 'route')])

type Placed = { name: string; scope: string[]; isRoute: boolean }
type Way = { source: Placed; change: Pick<EdgeDocument, 'each' | 'gather'>; scope: string[] }

function waysFrom(source: Placed): Way[] {
  const ways: Way[] = [{ source, change: {}, scope: source.scope }]
  if (source.scope.length < NESTING_MAX) {
    ways.push({ source, change: { each: true }, scope: [...source.scope, source.name] })
  }
  if (source.scope.length > 0) {
    ways.push({ source, change: { gather: true }, scope: source.scope.slice(0, -1) })
  }
  return ways
}

export type RandomPlanOptions = { readonly stepsMax: number; readonly onlyAllJoins?: boolean }

/** A random pipeline of plain, each and gather edges, routes and joins, checked and compiled. */
export function randomPlan(random: Random, options: RandomPlanOptions): Plan {
  const size = 1 + random.below(options.stepsMax)
  const placed: Placed[] = []
  const steps: Record<string, StepDocument> = {}
  for (let i = 0; i < size; i++) {
    const name = `s${i}`
    const isRoute = random.chance(0.2)
    const ways = placed.flatMap(waysFrom)
    const after: EdgeDocument[] = []
    let scope: string[] = []
    if (ways.length > 0 && !random.chance(0.05)) {
      const first = random.pick(ways)
      scope = first.scope
      const same = ways.filter(
        (way) => way.source !== first.source && way.scope.join() === scope.join(),
      )
      const more = random.shuffle(same).slice(0, random.pick([0, 0, 1, 2]))
      const chosen = new Map([first, ...more].map((way) => [way.source.name, way]))
      for (const { source, change } of chosen.values()) {
        const when = source.isRoute && random.chance(0.7) ? { when: random.pick(['a', 'b']) } : {}
        const bound = change.each === true ? { maxItems: ITEMS_MAX } : {}
        after.push({ step: source.name, ...change, ...when, ...bound })
      }
    }
    const isJoin = after.length > 1 || after[0]?.gather === true
    const policy = options.onlyAllJoins === true ? 'all' : random.pick(['all', 'any', 'quorum'])
    const n = after.length === 1 ? 1 + random.below(ITEMS_MAX) : 1 + random.below(after.length || 1)
    const join = {
      policy,
      ...(policy === 'quorum' ? { n } : {}),
      ...(random.chance(0.3) && options.onlyAllJoins !== true ? { timeoutMs: 10 } : {}),
      onTimeout: random.pick(['fail', 'partial'] as const),
    } as NonNullable<StepDocument['join']>
    steps[name] = { stage: isRoute ? 'pick@1' : 'work@1', after, ...(isJoin ? { join } : {}) }
    placed.push({ name, scope, isRoute })
  }
  const document = { onFailure: random.pick(FAILURE_MODES), steps }
  const { errors, effective } = checkPipeline(document, { stages })
  assert.deepEqual(errors, [])
  return compilePlan({ tenant: 't', pipeline: 'p', version: 1, effective })
}
