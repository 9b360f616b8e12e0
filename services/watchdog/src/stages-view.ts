import { type StageRecord, stageKey } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'

const PREFIX = stageKey('')

/** The stages as control wants them, read from `weir.control`. */
export type StagesView = {
  /** True where something of a stage has changed. */
  read(records: readonly KafkaRecord[]): boolean
  all(): readonly StageRecord[]
}

export function createStagesView(): StagesView {
  const stages = new Map<string, StageRecord>()
  return {
    read(records) {
      let hasChanged = false
      for (const { key, value } of records) {
        const name = key?.toString() ?? ''
        if (!name.startsWith(PREFIX)) continue
        hasChanged = true
        const ref = name.slice(PREFIX.length)
        if (value === null) {
          stages.delete(ref)
          continue
        }
        const record = JSON.parse(value.toString()) as StageRecord
        const known = stages.get(ref)
        if (known === undefined || record.rowVersion >= known.rowVersion) stages.set(ref, record)
      }
      return hasChanged
    },
    all: () => [...stages.values()],
  }
}
