import type { EdgeDocument, FieldError, PipelineDocument, StepDocument } from '@weir/contracts'
import { type EffectiveEdge, type EffectivePipeline, edgeObjects } from './effective.ts'
import { pointer } from './json-pointer.ts'
import type { KnownStage } from './known-stage.ts'
import { nearest } from './nearest.ts'

type Stages = ReadonlyMap<string, KnownStage>

function checkSource(document: PipelineDocument, name: string, edge: EdgeDocument, path: string) {
  if (edge.step === name) {
    const message = `step "${name}" cannot come after itself`
    return { path, code: 'self_dependency', message, fix: 'leave this edge out' }
  }
  if (Object.hasOwn(document.steps, edge.step)) return undefined
  const near = nearest(edge.step, Object.keys(document.steps))
  return {
    path,
    code: 'missing_step',
    message: `there is no step "${edge.step}"`,
    ...(near === undefined ? {} : { fix: near }),
  }
}

function checkKind(edge: EdgeDocument, path: string): FieldError | undefined {
  if (edge.each === true && edge.gather === true) {
    const message = 'an edge fans out or gathers, not both; put a step between'
    return { path, code: 'invalid_edge', message }
  }
  if (edge.maxItems !== undefined && edge.each !== true) {
    const message = 'maxItems bounds a fan-out, and this edge opens none'
    return { path: pointer(path, 'maxItems'), code: 'invalid_edge', message, fix: 'each: true' }
  }
  return undefined
}

function checkWhen(
  document: PipelineDocument,
  edge: EdgeDocument,
  stages: Stages,
  path: string,
): FieldError | undefined {
  if (edge.when === undefined || !Object.hasOwn(document.steps, edge.step)) return undefined
  const stage = stages.get(document.steps[edge.step]?.stage ?? '')
  if (stage?.kind === undefined || stage.kind === null || stage.kind === 'route') return undefined
  return {
    path: pointer(path, 'when'),
    code: 'when_without_route',
    message: `only a route stage names branches; ${stage.ref} is of the kind ${stage.kind}`,
    fix: 'leave out when',
  }
}

function checkNames(edges: readonly EdgeDocument[], at: string): FieldError[] {
  const errors: FieldError[] = []
  const sources = new Set<string>()
  const names = new Set<string>()
  for (const [position, edge] of edges.entries()) {
    const path = pointer(at, position)
    const name = edge.as ?? edge.step
    if (sources.has(edge.step)) {
      const message = `"${edge.step}" is named twice`
      errors.push({ path, code: 'duplicate_edge', message, fix: 'leave one of them out' })
    } else if (names.has(name)) {
      const message = `two inputs of this step are called "${name}"`
      errors.push({ path, code: 'as_clash', message, fix: 'give one of them another "as"' })
    }
    sources.add(edge.step)
    names.add(name)
  }
  return errors
}

/** Faults of single edges and of the edges into one step. */
export function checkEdges(document: PipelineDocument, stages: Stages): FieldError[] {
  const errors: FieldError[] = []
  for (const [name, step] of Object.entries(document.steps)) {
    const at = `${pointer('/steps', name)}/after`
    const edges = edgeObjects(step)
    for (const [position, edge] of edges.entries()) {
      const path = pointer(at, position)
      for (const fault of [
        checkSource(document, name, edge, path),
        checkKind(edge, path),
        checkWhen(document, edge, stages, path),
      ]) {
        if (fault !== undefined) errors.push(fault)
      }
    }
    errors.push(...checkNames(edges, at))
  }
  return errors
}

/** A full buffer must drain within its latency budget, at the rate that is known for it. */
function checkBuffer(
  edge: EffectiveEdge,
  isStated: boolean,
  drainRate: number | undefined,
  path: string,
): FieldError | undefined {
  // What was measured today must not refuse a default; a stated buffer is held against it.
  const rates = [edge.maxRate, isStated ? drainRate : undefined].filter(
    (rate) => rate !== undefined,
  )
  if (rates.length === 0) return undefined
  const rate = Math.min(...rates)
  const needsMs = Math.ceil((edge.bufferRecordsMax / rate) * 1_000)
  if (needsMs <= edge.latencyBudgetMs) return undefined
  const fit = Math.floor((rate * edge.latencyBudgetMs) / 1_000)
  return {
    path: pointer(path, 'bufferRecordsMax'),
    code: 'buffer_exceeds_latency_budget',
    message:
      `${edge.bufferRecordsMax} records at ${rate} a second take ${needsMs} ms, ` +
      `the budget is ${edge.latencyBudgetMs} ms`,
    fix: fit >= 1 ? `bufferRecordsMax: ${fit}` : `latencyBudgetMs: ${needsMs}`,
  }
}

/** Buffers that are larger than their latency budgets allow. */
export function checkBuffers(
  document: PipelineDocument,
  effective: EffectivePipeline,
  stages: Stages,
): FieldError[] {
  const errors: FieldError[] = []
  for (const [name, step] of Object.entries(effective.steps)) {
    const stated = edgeObjects(document.steps[name] as StepDocument)
    for (const [position, edge] of step.after.entries()) {
      const path = pointer(`${pointer('/steps', name)}/after`, position)
      const isStated = stated[position]?.bufferRecordsMax !== undefined
      const fault = checkBuffer(edge, isStated, stages.get(step.stage)?.drainRate, path)
      if (fault !== undefined) errors.push(fault)
    }
  }
  return errors
}
