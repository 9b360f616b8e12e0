import type { FailureMode, TaskError } from '@weir/contracts'
import type { JoinDecision } from '../message/result.ts'
import { allDelivered, hasDelivered, type OpenJoin } from './open-join.ts'

type Tally = { data: number; failed: number; skipped: number }

/** The table of what a step does once its inputs are known (design: pipelines). */
function decideByTable(mode: FailureMode, tally: Tally): JoinDecision {
  if (tally.data > 0 && (tally.failed === 0 || mode === 'best_effort')) return { do: 'run' }
  if (tally.failed > 0) return { do: 'skip', reason: 'an input failed', failedBefore: true }
  return { do: 'skip', reason: 'every input was skipped', failedBefore: false }
}

function tallyMessages(join: OpenJoin): Tally {
  const tally: Tally = { data: 0, failed: 0, skipped: 0 }
  const count = (kind: string) => {
    if (kind === 'data' || kind === 'empty') tally.data += 1
    else if (kind === 'failed') tally.failed += 1
    else tally.skipped += 1
  }
  for (const slot of join.edges) {
    if (slot.part !== null) count(slot.part.kind)
    if (slot.gather?.marker != null) count(slot.gather.marker)
    for (const part of slot.gather?.items.values() ?? []) count(part.kind)
  }
  return tally
}

/** Units of an early policy: how many have data, and how many are still to come (null: not known). */
function countUnits(join: OpenJoin, mode: FailureMode): { data: number; open: number | null } {
  if (join.step.join?.unit === 'items') {
    const gather = join.edges[0]?.gather
    if (gather == null) return { data: 0, open: null }
    let data = 0
    for (const part of gather.items.values()) if (part.kind === 'data') data += 1
    return { data, open: gather.expected === null ? null : gather.expected - gather.items.size }
  }
  let data = 0
  let open = 0
  for (const slot of join.edges) {
    if (!hasDelivered(slot)) {
      open += 1
      continue
    }
    const kinds =
      slot.gather === null ? [slot.part?.kind] : [...slot.gather.items.values()].map((p) => p.kind)
    if (slot.gather?.marker != null) kinds.push(slot.gather.marker)
    const hasData = kinds.some((kind) => kind === 'data' || kind === 'empty')
    const hasFailed = kinds.includes('failed')
    if (hasData && (!hasFailed || mode === 'best_effort')) data += 1
  }
  return { data, open }
}

/** The failure of a join whose time is up, or whose quorum cannot be met. */
export function joinFailure(
  code: 'join_timeout' | 'join_unsatisfied' | 'gather_too_large' | 'joins_too_large',
  step: string,
): TaskError {
  const sentences = {
    join_timeout: `Step ${step} did not get its inputs in time.`,
    join_unsatisfied: `Step ${step} can no longer get as many inputs as its policy asks for.`,
    gather_too_large: `The inputs of step ${step} are together larger than a message may be.`,
    joins_too_large: `The stage of step ${step} holds too many waiting inputs; this join was the youngest.`,
  }
  return {
    code,
    message: sentences[code],
    class: code === 'join_timeout' ? 'deadline' : 'permanent',
  }
}

/**
 * What a join does with the parts that are there: null while it has to wait. The order in which
 * parts came does not matter once all are there; an early policy fires on the first parts that
 * satisfy it, and that choice is then written down.
 */
export function decideJoin(join: OpenJoin): JoinDecision | null {
  const mode = join.plan.onFailure
  const policy = join.step.join
  const complete = allDelivered(join)
  if (policy === null || policy.policy === 'all') {
    return complete ? decideByTable(mode, tallyMessages(join)) : null
  }
  const { data, open } = countUnits(join, mode)
  if (data >= policy.n) return { do: 'run' }
  if (complete) {
    const tally = tallyMessages(join)
    if (data === 0 && (tally.data === 0 || tally.failed > 0)) {
      return decideByTable(mode, { ...tally, data: 0 })
    }
    // A fan-out without elements has data (none) and no items to count.
    if (policy.unit === 'items' && join.edges[0]?.gather?.marker === 'empty') return { do: 'run' }
    return { do: 'fail', error: joinFailure('join_unsatisfied', join.step.name) }
  }
  if (data > 0 && open !== null && data + open < policy.n) {
    return { do: 'fail', error: joinFailure('join_unsatisfied', join.step.name) }
  }
  return null
}

/** True where a join whose time is up may run on what it has. */
export function mayRunPartially(join: OpenJoin): boolean {
  return join.step.join?.onTimeout === 'partial' && tallyMessages(join).data > 0
}
