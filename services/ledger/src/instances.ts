import type { InstanceRecord } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'

/** An instance that has not been heard of for this long (it beats every 5 s) is not waited for. */
const LIVE_MS = 15_000

/**
 * What the registry says of the stages' instances: whether all of them have obeyed a fence. Only
 * arrival times count, never the instances' clocks.
 */
export type Instances = {
  read(records: readonly KafkaRecord[], nowMs: number): void
  /**
   * `obeyed` when every live instance of the stages has read `weir.control` beyond the fence and
   * runs nothing of the run; `running` when one still cleans up after it; else `unknown`.
   */
  stateOf(
    stages: ReadonlySet<string>,
    job: string,
    run: number,
    fenceOffset: number,
    nowMs: number,
  ): 'obeyed' | 'running' | 'unknown'
}

export function createInstances(): Instances {
  const seen = new Map<string, { record: InstanceRecord; seenAt: number }>()

  return {
    read(records, nowMs) {
      for (const { key, value } of records) {
        const instance = key?.toString()
        if (instance === undefined) continue
        if (value === null) {
          seen.delete(instance)
          continue
        }
        try {
          seen.set(instance, {
            record: JSON.parse(value.toString()) as InstanceRecord,
            seenAt: nowMs,
          })
        } catch {
          // Not an instance's record: nobody to wait for.
        }
      }
    },
    stateOf(stages, job, run, fenceOffset, nowMs) {
      let state: 'obeyed' | 'unknown' = 'obeyed'
      for (const [instance, { record, seenAt }] of seen) {
        if (nowMs - seenAt > LIVE_MS) {
          seen.delete(instance)
          continue
        }
        if (!stages.has(record.stage)) continue
        if (record.cleaning.some(([otherJob, otherRun]) => otherJob === job && otherRun === run)) {
          return 'running'
        }
        if (record.controlOffset <= fenceOffset) state = 'unknown'
      }
      return state
    },
  }
}
