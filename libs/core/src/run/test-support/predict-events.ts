import assert from 'node:assert/strict'
import type { Plan } from '@weir/contracts'
import { Oracle } from './oracle.ts'
import { Random } from './random.ts'
import { ReferenceRun, type Script, type Task } from './reference-run.ts'

type Named = { readonly type: string; readonly step?: string; readonly item?: string }

/** That a task is at work is said only of long ones: no plan and no outcome says how often. */
const IN_PASSING = new Set(['task.started', 'task.progress'])

const nameOf = ({ type, step, item = '' }: Named): string =>
  step === undefined ? type : `${type} ${step}${item === '' ? '' : `/${item}`}`

/** Events as a multiset of names: type, step and item, sorted. */
export function nameEvents(events: readonly Named[]): string[] {
  return events
    .filter(({ type }) => !IN_PASSING.has(type))
    .map(nameOf)
    .sort()
}

function eventsOfTask({ step: { name: step }, report }: Task, retries: number): Named[] {
  const { item, status, missing = [], error } = report
  const hasFired = missing.length > 0 && !/^join_/.test(error?.code ?? '')
  return [
    ...Array.from({ length: retries }, () => ({ type: 'task.retry_scheduled', step, item })),
    ...(hasFired ? [{ type: 'join.fired', step, item }] : []),
    { type: `task.${status}`, step, item },
  ]
}

/** What stands in the log of a first run: nothing but this, each as often as here. */
export function eventsOfRun(
  tasks: readonly Task[],
  status: string,
  retriesOf: (task: Task) => number = () => 0,
): string[] {
  return nameEvents([
    { type: 'job.queued' },
    { type: 'job.dispatched' },
    ...tasks.flatMap((task) => eventsOfTask(task, retriesOf(task))),
    { type: `job.${status}` },
  ])
}

/**
 * The events of a run by its plan and by what its handlers make of their tasks, from the rules of
 * the design alone. A run that is over leaves no events of what it does not wait for.
 */
export function predictEvents(
  plan: Plan,
  script: Script,
  retriesOf?: (task: Task) => number,
): string[] {
  const reference = new ReferenceRun(plan, new Random(1), script)
  while (!reference.isQuiet) reference.advance()
  reference.assertConserved()
  const oracle = new Oracle(plan, reference.tasks)
  const told: Task[] = []
  for (const task of reference.tasks) {
    if (oracle.isOver) break
    oracle.add(task)
    told.push(task)
  }
  assert.ok(oracle.isOver, 'the run never ends')
  return eventsOfRun(told, oracle.status, retriesOf)
}
