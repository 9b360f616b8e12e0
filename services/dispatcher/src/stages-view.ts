import type { Lane, StageRecord } from '@weir/contracts'
import type { Gates } from '@weir/core'
import type { KafkaRecord } from '@weir/kafka'

/** What control wants of the stages, as it stands on `weir.control`, and what their gates let in. */
export type StagesView = {
  read(records: readonly KafkaRecord[]): void
  /**
   * What may be in flight at a stage: 0 while it is not active, else what its gate lets in, as far as
   * the gate is to be believed, and never more than the operator's limit.
   */
  limitOf(stage: string): number
  laneOf(stage: string, wanted: Lane): Lane
  /** Ids of the stage's valid keys, newest last. */
  keyIdsOf(stage: string): readonly string[]
}

/** Of a stage whose gate nobody has published yet: what moves it, and does not flood it. */
const UNMEASURED_MAX = 16

export function createStagesView(gates: Pick<Gates, 'limitOf'>): StagesView {
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
      if (record?.state !== 'active') return 0
      return Math.min(record.inFlightMax, gates.limitOf(stage) ?? UNMEASURED_MAX)
    },
    laneOf(stage, wanted) {
      return stages.get(stage)?.lanes.includes(wanted) === false ? 'normal' : wanted
    },
    keyIdsOf: (stage) => stages.get(stage)?.keyIds ?? [],
  }
}
