import { defaults, type StageRecord } from '@weir/contracts'
import type { Stage, StageContract } from '@weir/postgres'

/** What instances, dispatcher and watchdog are to know of a stage. */
export function toStageRecord(
  stage: Stage,
  contracts: readonly StageContract[],
  refused: ReadonlyMap<string, string>,
): StageRecord {
  const verdicts = contracts.map(({ version, hash, accepted, reason }): [string, true | string] => [
    `${version}/${hash}`,
    accepted ? true : (reason ?? 'the contracts were refused'),
  ])
  return {
    v: 1,
    ref: stage.ref,
    state: stage.state,
    rowVersion: stage.rowVersion,
    lanes: stage.lanes,
    inFlightMax: stage.inFlightMax,
    targetDelayMs: targetDelayOf(stage),
    ...replicasOf(stage),
    accepted: { ...Object.fromEntries(refused), ...Object.fromEntries(verdicts) },
    keyIds: stage.keyIds,
  }
}

/** How long records may wait before a stage, as it was registered, or else as is usual. */
export function targetDelayOf({ spec }: Pick<Stage, 'spec'>): number {
  const { targetDelayMs } = JSON.parse(spec) as { readonly targetDelayMs?: number }
  return targetDelayMs ?? defaults.targetDelayMs
}

/** Least and most instances; more than there are partitions would have nothing to do. */
function replicasOf({ spec, partitions }: Stage): Pick<StageRecord, 'replicas'> {
  const { replicas } = JSON.parse(spec) as Pick<StageRecord, 'replicas'>
  if (replicas === undefined) return {}
  const [min, max] = [replicas.min, replicas.max].map((count) => Math.min(count, partitions))
  return { replicas: { min: min as number, max: max as number } }
}
