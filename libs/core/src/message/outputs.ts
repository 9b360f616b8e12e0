import {
  childItem,
  type EdgeMessageKind,
  edgeMessageId,
  type MessageId,
  type Plan,
  type PlanEdge,
  type PlanStep,
  parentItem,
  recordKey,
  type TaskError,
} from '@weir/contracts'
import type { TaskResult } from './result.ts'

/** A message that follows from a task's result, before headers are put on it. */
export type OutputMessage = {
  readonly edge: PlanEdge
  /** The step it goes to. */
  readonly target: PlanStep
  readonly id: MessageId
  readonly key: string
  readonly kind: EdgeMessageKind
  readonly item: string
  readonly counts: readonly number[]
  /** JSON text; `null` for markers. */
  readonly payload: string
  /** Of the payload, where its receiver has to name it. */
  readonly digest?: string
}

export type FanOut = {
  readonly marker: 'items' | 'empty' | 'skipped' | 'failed'
  readonly count: number
}

/** What the messages of a task are made from. */
export type OutputSource = {
  readonly plan: Plan
  readonly step: PlanStep
  readonly job: string
  readonly run: number
  readonly item: string
  readonly counts: readonly number[]
}

const stepsByName = new WeakMap<Plan, Map<string, PlanStep>>()

/** The step of a plan by name. */
export function stepOf(plan: Plan, name: string): PlanStep | undefined {
  let map = stepsByName.get(plan)
  if (map === undefined) {
    map = new Map(plan.steps.map((step) => [step.name, step]))
    stepsByName.set(plan, map)
  }
  return map.get(name)
}

function isTaken(edge: PlanEdge, result: TaskResult): boolean {
  if (result.status !== 'ok') return false
  return edge.when === null || (result.taken?.includes(edge.when) ?? false)
}

/**
 * The marker that stands for a result on an edge that gets no data. A handler that cancels its run
 * sends `failed`: with `skipped` a join would run on what else is there before the fence arrives.
 */
function markerOf(result: TaskResult): 'skipped' | 'failed' {
  if (result.status === 'skip') return result.failedBefore ? 'failed' : 'skipped'
  return result.status === 'ok' ? 'skipped' : 'failed'
}

/**
 * The fault of an output that cannot be sent as the plan asks (an `each` over something that is no
 * array, or over too many elements); undefined where it can.
 */
export function faultOfOutput(
  plan: Plan,
  step: PlanStep,
  result: TaskResult,
): TaskError | undefined {
  if (result.status !== 'ok') return undefined
  const edges = step.out.map((index) => plan.edges[index] as PlanEdge)
  const fans = edges.filter((edge) => edge.kind === 'each' && isTaken(edge, result))
  if (fans.length === 0) return undefined
  const elements = JSON.parse(result.output) as unknown
  if (!Array.isArray(elements)) {
    return {
      code: 'not_an_array',
      message: `Step ${step.name} fans out, so its output must be an array.`,
      class: 'contract',
    }
  }
  const max = Math.min(...fans.map((edge) => edge.maxItems ?? 0))
  if (elements.length > max) {
    return {
      code: 'too_many_items',
      message: `Step ${step.name} gave ${elements.length} elements; its edge allows ${max}.`,
      class: 'contract',
    }
  }
  return undefined
}

/** How a result opens the fan-out of a step with `each` edges; undefined for a step without. */
export function fanOutOf(plan: Plan, step: PlanStep, result: TaskResult): FanOut | undefined {
  const fans = step.out
    .map((index) => plan.edges[index] as PlanEdge)
    .filter((edge) => edge.kind === 'each')
  if (fans.length === 0) return undefined
  if (result.status === 'ok' && fans.some((edge) => isTaken(edge, result))) {
    const count = (JSON.parse(result.output) as unknown[]).length
    return { marker: count === 0 ? 'empty' : 'items', count }
  }
  return { marker: markerOf(result), count: 0 }
}

function message(
  source: OutputSource,
  edge: PlanEdge,
  kind: EdgeMessageKind,
  item: string,
  counts: readonly number[],
  targetItem: string,
  payload: string,
  digest?: string,
): OutputMessage {
  return {
    edge,
    target: stepOf(source.plan, edge.to) as PlanStep,
    id: edgeMessageId(source.job, source.run, String(edge.index), item),
    key: recordKey(source.job, source.run, edge.to, targetItem),
    kind,
    item,
    counts,
    payload,
    ...(digest !== undefined && { digest }),
  }
}

/**
 * All messages that follow from a result, one on each outgoing edge (promise 3): data where the
 * edge is taken, else a marker. An `each` sends one per element, and where there are none a single
 * marker for the whole fan-out to every gather edge that closes it.
 * `digest`: of an output, for messages that carry it whole.
 */
export function* outputsOf(
  source: OutputSource,
  result: TaskResult,
  digest?: string,
): Generator<OutputMessage> {
  const { plan, step, item, counts } = source
  const fan = fanOutOf(plan, step, result)
  let elements: string[] | undefined
  for (const index of step.out) {
    const edge = plan.edges[index] as PlanEdge
    const taken = isTaken(edge, result)
    const kind = taken ? 'data' : markerOf(result)
    const payload = taken && result.status === 'ok' ? result.output : 'null'
    const ofPayload = taken ? digest : undefined
    if (edge.kind === 'plain') {
      yield message(source, edge, kind, item, counts, item, payload, ofPayload)
    } else if (edge.kind === 'gather') {
      yield message(source, edge, kind, item, counts, parentItem(item), payload, ofPayload)
    } else if (fan?.marker === 'items' && result.status === 'ok') {
      elements ??= (JSON.parse(result.output) as unknown[]).map((element) =>
        JSON.stringify(element),
      )
      const inner = [...counts, elements.length]
      for (let at = 0; at < elements.length; at += 1) {
        const child = childItem(item, at)
        yield message(
          source,
          edge,
          kind,
          child,
          inner,
          child,
          taken ? (elements[at] as string) : 'null',
        )
      }
    }
  }
  if (fan !== undefined && fan.marker !== 'items') {
    for (const index of step.closing) {
      const edge = plan.edges[index] as PlanEdge
      yield message(source, edge, fan.marker, item, counts, item, 'null')
    }
  }
}

/** The edges' messages with which a run starts: the job's input to every step that has no source. */
export function* inputsOf(
  plan: Plan,
  job: string,
  run: number,
  input: string,
): Generator<OutputMessage> {
  for (const edge of plan.edges) {
    if (edge.from !== null) continue
    yield {
      edge,
      target: stepOf(plan, edge.to) as PlanStep,
      id: edgeMessageId(job, run, String(edge.index), ''),
      key: recordKey(job, run, edge.to, ''),
      kind: 'data',
      item: '',
      counts: [],
      payload: input,
    }
  }
}
