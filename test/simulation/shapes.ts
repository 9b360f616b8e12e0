import type { FailureMode, Plan, StepDocument } from '@weir/contracts'
import { compilePlan } from '../../libs/core/src/plan/compile-plan.ts'
import { fillDefaults } from '../../libs/core/src/plan/effective.ts'

export const STAGES = ['alpha@1', 'beta@1', 'gamma@1'] as const

type Steps = Readonly<Record<string, StepDocument>>

export type Shape = {
  readonly name: string
  /** What a join takes depends on what comes first, so two runs may lawfully differ. */
  readonly isEarly: boolean
  readonly steps: Steps
}

const [alpha, beta, gamma] = STAGES
const each = (step: string) => ({ step, each: true, maxItems: 4 })
const gather = (step: string) => ({ step, gather: true })
const branches = [
  { step: 'b', as: 'b' },
  { step: 'c', as: 'c' },
  { step: 'd', as: 'd' },
]
const fork: Steps = {
  a: { stage: alpha },
  b: { stage: beta, after: ['a'] },
  c: { stage: gamma, after: ['a'] },
  d: { stage: beta, after: ['a'] },
}

export const shapes: readonly Shape[] = [
  {
    name: 'linear',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: ['a'] },
      c: { stage: alpha, after: ['b'] },
    },
  },
  {
    name: 'diamond all',
    isEarly: false,
    steps: { ...fork, e: { stage: alpha, after: branches } },
  },
  {
    name: 'diamond any',
    isEarly: true,
    steps: {
      ...fork,
      e: { stage: alpha, after: branches, join: { policy: 'any' } },
      f: { stage: beta, after: ['e'] },
    },
  },
  {
    name: 'diamond quorum',
    isEarly: true,
    steps: {
      ...fork,
      c2: { stage: alpha, after: ['c'] },
      e: {
        stage: gamma,
        after: ['b', 'c2', 'd'],
        join: { policy: 'quorum', n: 2, timeoutMs: 20_000 },
      },
    },
  },
  {
    name: 'each and gather',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [each('a')] },
      c: { stage: alpha, after: [gather('b')] },
    },
  },
  {
    name: 'nested each and gather',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [each('a')] },
      c: { stage: gamma, after: [each('b')] },
      d: { stage: beta, after: [gather('c')] },
      e: { stage: alpha, after: [gather('d')] },
    },
  },
  {
    name: 'route',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [{ step: 'a', when: 'left' }] },
      c: { stage: gamma, after: [{ step: 'a', when: 'right' }] },
      d: { stage: alpha, after: ['b', 'c'] },
    },
  },
  {
    name: 'route inside each',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      r: { stage: beta, after: [each('a')] },
      b: { stage: gamma, after: [{ step: 'r', when: 'left' }] },
      c: { stage: alpha, after: [{ step: 'r', when: 'right' }] },
      d: { stage: beta, after: ['b', 'c'] },
      e: { stage: alpha, after: [gather('d')] },
    },
  },
  {
    name: 'gather and plain edge',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [each('a')] },
      c: { stage: gamma, after: ['a'] },
      d: { stage: alpha, after: [gather('b'), 'c'] },
    },
  },
  {
    name: 'several gathers of one scope',
    isEarly: false,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [each('a')] },
      c: { stage: gamma, after: ['b'] },
      d: { stage: alpha, after: [gather('c')] },
      e: { stage: beta, after: [gather('b')] },
      f: { stage: gamma, after: ['d', 'e'] },
    },
  },
  {
    name: 'quorum of items',
    isEarly: true,
    steps: {
      a: { stage: alpha },
      b: { stage: beta, after: [each('a')] },
      c: {
        stage: gamma,
        after: [gather('b')],
        join: { policy: 'quorum', n: 2, timeoutMs: 15_000, onTimeout: 'partial' },
      },
      d: { stage: alpha, after: ['c'] },
    },
  },
  {
    name: 'partial after a timeout',
    isEarly: true,
    steps: {
      ...fork,
      c2: { stage: gamma, after: ['c'] },
      e: {
        stage: alpha,
        after: ['b', 'c2', 'd'],
        join: { policy: 'all', timeoutMs: 12_000, onTimeout: 'partial' },
      },
      f: { stage: beta, after: ['e'] },
    },
  },
]

const plans = new Map<string, Plan>()

export function planOf(shape: Shape, onFailure: FailureMode): Plan {
  const key = `${shape.name}/${onFailure}`
  let plan = plans.get(key)
  if (plan === undefined) {
    const effective = fillDefaults({ onFailure, steps: { ...shape.steps } })
    plan = compilePlan({ tenant: 'tenant', pipeline: 'pipeline', version: 1, effective })
    plans.set(key, plan)
  }
  return plan
}
