import { type FieldError, limits, type PipelineDocument, parseStageRef } from '@weir/contracts'
import { assignScopes } from './assign-scopes.ts'
import { checkContracts } from './check-contracts.ts'
import { checkBuffers, checkEdges } from './check-edges.ts'
import { checkFanOuts, checkJoins } from './check-joins.ts'
import { type EffectivePipeline, edgeObjects, fillDefaults } from './effective.ts'
import { findCycles, sortSteps } from './find-cycles.ts'
import { pointer } from './json-pointer.ts'
import type { KnownStage } from './known-stage.ts'
import { nearest } from './nearest.ts'

export type PipelineSurroundings = { readonly stages: ReadonlyMap<string, KnownStage> }

export type CheckedPipeline = {
  readonly errors: readonly FieldError[]
  readonly warnings: readonly FieldError[]
  readonly effective: EffectivePipeline
}

function checkSizes(document: PipelineDocument): FieldError[] {
  const steps = Object.values(document.steps)
  if (steps.length === 0) {
    const message = 'a pipeline needs at least one step'
    return [{ path: '/steps', code: 'empty', message }]
  }
  const edges = steps.reduce((sum, step) => sum + (step.after?.length ?? 0), 0)
  const tooLarge = (message: string) => [{ path: '/steps', code: 'too_large', message }]
  if (steps.length > limits.pipelineSteps) {
    return tooLarge(`a pipeline has at most ${limits.pipelineSteps} steps`)
  }
  if (edges > limits.pipelineEdges) {
    return tooLarge(`a pipeline has at most ${limits.pipelineEdges} edges`)
  }
  return []
}

function checkStages(
  document: PipelineDocument,
  stages: ReadonlyMap<string, KnownStage>,
): FieldError[] {
  const errors: FieldError[] = []
  for (const [name, step] of Object.entries(document.steps)) {
    if (stages.has(step.stage)) continue
    const near = nearest(step.stage, stages.keys())
    const message =
      parseStageRef(step.stage) === undefined
        ? `"${step.stage}" is not a stage reference (name@major)`
        : `no stage ${step.stage} is registered`
    errors.push({
      path: `${pointer('/steps', name)}/stage`,
      code: 'unknown_stage',
      message,
      ...(near === undefined ? {} : { fix: near }),
    })
  }
  return errors
}

function checkCycles(targets: ReadonlyMap<string, readonly string[]>, document: PipelineDocument) {
  return findCycles(targets).map((cycle): FieldError => {
    const source = cycle.at(-2) as string
    const target = cycle.at(-1) as string
    const edges = edgeObjects(document.steps[target] ?? { stage: '' })
    const position = edges.findIndex((edge) => edge.step === source)
    return {
      path: pointer(`${pointer('/steps', target)}/after`, position),
      code: 'cycle',
      message: `these steps wait for each other: ${cycle.join(' -> ')}`,
      cycle,
    }
  })
}

function targetsOf(document: PipelineDocument): Map<string, string[]> {
  const targets = new Map<string, string[]>(Object.keys(document.steps).map((name) => [name, []]))
  for (const [name, step] of Object.entries(document.steps)) {
    for (const edge of edgeObjects(step)) {
      if (edge.step !== name) targets.get(edge.step)?.push(name)
    }
  }
  return targets
}

function checkOverload(document: PipelineDocument): FieldError[] {
  const hasMax = document.queueMax !== undefined
  if (document.onOverload === 'drop_oldest' && !hasMax) {
    const message = 'drop_oldest needs the length of the queue over which it drops'
    return [{ path: '/queueMax', code: 'required', message }]
  }
  if (hasMax && document.onOverload !== 'drop_oldest') {
    const message = 'queueMax belongs to onOverload: drop_oldest'
    return [{ path: '/queueMax', code: 'invalid_value', message, fix: 'onOverload: drop_oldest' }]
  }
  return []
}

function warn(
  effective: EffectivePipeline,
  targets: ReadonlyMap<string, readonly string[]>,
  stages: ReadonlyMap<string, KnownStage>,
): FieldError[] {
  const warnings: FieldError[] = []
  const steps = Object.entries(effective.steps)
  for (const [name, step] of steps) {
    const path = pointer('/steps', name)
    const next = targets.get(name) ?? []
    if (steps.length > 1 && step.after.length === 0 && next.length === 0) {
      const message = `"${name}" is connected to no other step; it runs beside them on the input`
      warnings.push({ path, code: 'orphan', message, fix: 'connect it by "after"' })
    }
    const branches = next.flatMap((target) =>
      (effective.steps[target]?.after ?? []).filter((edge) => edge.step === name),
    )
    if (
      stages.get(step.stage)?.kind === 'route' &&
      branches.length > 0 &&
      branches.every((edge) => edge.when === undefined)
    ) {
      const message = `"${name}" is a route, and no edge after it names a branch`
      warnings.push({ path, code: 'route_without_branches', message, fix: 'when: <branch>' })
    }
    if (step.retry.baseMs > step.retry.maxMs) {
      const message = 'the first delay is above the longest one, so every delay is the longest'
      warnings.push({ path: `${path}/retry/baseMs`, code: 'retry_base_above_max', message })
    }
  }
  return warnings
}

/**
 * Whether a pipeline can be published, and the document with its defaults filled in.
 *
 * Errors: `empty`, `too_large`, `missing_step`, `self_dependency`, `duplicate_edge`, `as_clash`,
 * `invalid_edge` (each with gather, maxItems without each), `when_without_route`, `cycle`,
 * `unknown_stage`, `scope_mismatch`, `invalid_join`, `contract_mismatch`,
 * `buffer_exceeds_latency_budget`, `required`, `invalid_value`.
 * Warnings: `orphan` (a step connected to no other; lawful, for it runs on the job's input, but
 * rarely meant), `route_without_branches`, `retry_base_above_max`.
 */
export function checkPipeline(
  document: PipelineDocument,
  { stages }: PipelineSurroundings,
): CheckedPipeline {
  const sizes = checkSizes(document)
  if (sizes.some((fault) => fault.code === 'too_large')) {
    return {
      errors: sizes,
      warnings: [],
      effective: { ...fillDefaults({ ...document, steps: {} }) },
    }
  }
  const effective = fillDefaults(document)
  const targets = targetsOf(document)
  const cycles = checkCycles(targets, document)
  const errors = [
    ...sizes,
    ...checkOverload(document),
    ...checkStages(document, stages),
    ...checkEdges(document, stages),
    ...cycles,
  ]
  // Scopes flow from source to target, so they are known only where the graph is closed and acyclic.
  if (cycles.length === 0) {
    const sorted = sortSteps(Object.keys(document.steps), (name) =>
      (effective.steps[name]?.after ?? [])
        .map((edge) => edge.step)
        .filter((source) => source !== name && Object.hasOwn(document.steps, source)),
    )
    const assigned = assignScopes(effective, sorted)
    errors.push(
      ...assigned.errors,
      ...checkFanOuts(effective, assigned.scopes),
      ...checkJoins(document, effective, assigned.scopes),
    )
  }
  errors.push(...checkContracts(effective, stages), ...checkBuffers(document, effective, stages))
  return { errors, warnings: warn(effective, targets, stages), effective }
}
