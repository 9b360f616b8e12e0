import { type PlatformProcess, platformProcesses } from '../../../deploy/local/processes.ts'

const programs = {
  'bench-a': 'pass-a',
  'bench-b': 'pass-b',
  'bench-c': 'pass-c',
  'bench-split': 'split',
  'bench-total': 'total',
} as const

const preload = platformProcesses[0]?.preload ?? ''

/** The platform as it is, with the suite's stages in place of the demo's. */
export const benchProcesses: readonly PlatformProcess[] = [
  ...platformProcesses.filter(({ stage }) => stage === undefined),
  ...Object.entries(programs).map(([name, program], at) => ({
    name,
    main: `test/bench/stages/${program}.ts`,
    preload,
    stage: { ref: `${name}@1`, partitions: 4 },
    // One after the other, each with a core to start on.
    tier: 4 + at,
  })),
]

export const pipelines = {
  'bench-linear': {
    steps: {
      a: { stage: 'bench-a@1' },
      b: { stage: 'bench-b@1', after: ['a'] },
      c: { stage: 'bench-c@1', after: ['b'] },
    },
  },
  'bench-fan-out': {
    steps: {
      split: { stage: 'bench-split@1' },
      a: { stage: 'bench-a@1', after: [{ step: 'split', each: true, maxItems: 1_000 }] },
      b: { stage: 'bench-b@1', after: ['a'] },
      total: { stage: 'bench-total@1', after: [{ step: 'b', gather: true }] },
    },
  },
} as const

export type PipelineName = keyof typeof pipelines

/** The step whose output is the job's result. */
export const leafs: Record<PipelineName, string> = { 'bench-linear': 'c', 'bench-fan-out': 'total' }

/** Processes whose CPU time is that of a message in the three-step pipeline. */
export const linearStages = ['bench-a', 'bench-b', 'bench-c'] as const
