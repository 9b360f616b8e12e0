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
    accepted: { ...Object.fromEntries(refused), ...Object.fromEntries(verdicts) },
    keyIds: stage.keyIds,
  }
}

/** How long records may wait before a stage, as it was registered, or else as is usual. */
export function targetDelayOf({ spec }: Pick<Stage, 'spec'>): number {
  const { targetDelayMs } = JSON.parse(spec) as { readonly targetDelayMs?: number }
  return targetDelayMs ?? defaults.targetDelayMs
}
