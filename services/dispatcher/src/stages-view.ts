import type { Lane, StageRecord } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'

/** What control wants of the stages, as it stands on `weir.control`. */
export type StagesView = {
  read(records: readonly KafkaRecord[]): void
  /** The operator's limit while the stage is active, else 0. */
  limitOf(stage: string): number
  laneOf(stage: string, wanted: Lane): Lane
  /** Ids of the stage's valid keys, newest last. */
  keyIdsOf(stage: string): readonly string[]
}

export function createStagesView(): StagesView {
  const stages = new Map<string, StageRecord>()
  return {
    read(records) {
      for (const { key, value } of records) {
        const name = key?.toString() ?? ''
        if (!name.startsWith('stage:')) continue
        const ref = name.slice('stage:'.length)
        if (value === null) {
          stages.delete(ref)
          continue
        }
        const record = JSON.parse(value.toString()) as StageRecord
        const known = stages.get(ref)
        if (known === undefined || record.rowVersion >= known.rowVersion) stages.set(ref, record)
      }
    },
    limitOf(stage) {
      const record = stages.get(stage)
      return record?.state === 'active' ? record.inFlightMax : 0
    },
    laneOf(stage, wanted) {
      return stages.get(stage)?.lanes.includes(wanted) === false ? 'normal' : wanted
    },
    keyIdsOf: (stage) => stages.get(stage)?.keyIds ?? [],
  }
}
