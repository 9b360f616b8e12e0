import { digestOf, type TaskError } from '@weir/contracts'
import type { JoinedBody } from '../../libs/core/src/message/result.ts'
import type { Task, TaskEnd } from '../../libs/core/src/partition/partition.ts'
import { dice } from './random.ts'

export type HandlerRules = {
  readonly seed: number
  /** A second run of the same attempt may answer otherwise. */
  readonly isFickle: boolean
  /** Share of tasks that fail, skip, cancel; of attempts that fail for the time being. */
  readonly fails: number
  readonly skips: number
  readonly cancels: number
  readonly retries: number
}

const permanent: TaskError = { code: 'refused', message: 'refused', class: 'permanent' }
const transient: TaskError = { code: 'flaky', message: 'flaky', class: 'transient' }

/** The text that a task's handler gets. */
export function inputOf(task: Task): string {
  if (task.of !== 'joined') return task.value
  return JSON.stringify((JSON.parse(task.value) as JoinedBody).input ?? null)
}

/**
 * What a handler answers: by the task alone, or, where fickle, also by how often it ran. Every
 * output names the digest of its input, so that the ledger's results can be held against each other.
 */
export function answer(rules: HandlerRules, task: Task, nthRun: number): TaskEnd {
  const { plan, step, envelope } = task
  const { job, meta } = envelope
  const salt = rules.isFickle ? nthRun : 0
  const words = [rules.seed, job, meta.run, step.name, meta.item, salt] as const
  if (dice(...words, 'retry', task.attempt) < rules.retries) {
    return { end: 'retry', error: transient }
  }
  const roll = dice(...words, 'end')
  if (roll < rules.fails) return { end: 'result', result: { status: 'fail', error: permanent } }
  if (roll < rules.fails + rules.skips) {
    return { end: 'result', result: { status: 'skip', reason: 'skip', failedBefore: false } }
  }
  if (roll < rules.fails + rules.skips + rules.cancels) {
    return { end: 'result', result: { status: 'cancel', reason: 'cancel' } }
  }
  const out = step.out.map((index) => plan.edges[index])
  const body = {
    step: step.name,
    item: meta.item,
    input: digestOf(inputOf(task)),
    ...(rules.isFickle && { salt: nthRun }),
  }
  const isFan = out.some((edge) => edge?.kind === 'each')
  const count = Math.floor(dice(...words, 'count') * 4)
  const output = isFan ? Array.from({ length: count }, (_, at) => ({ ...body, at })) : body
  const names = out.flatMap((edge) => (edge?.when == null ? [] : [edge.when]))
  const taken = names.filter((name) => dice(...words, 'taken', name) < 0.6)
  return {
    end: 'result',
    result: {
      status: 'ok',
      output: JSON.stringify(output),
      taken: names.length === 0 ? null : taken,
    },
  }
}
