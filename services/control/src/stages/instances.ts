import type { InstanceRecord } from '@weir/contracts'

/** An instance whose latest record is older than this has gone. */
const LIVE_MS = 30_000
/** Records of instances long gone stay in the topic; they are not kept here. */
const INSTANCES_MAX = 10_000

export type Instance = {
  readonly record: InstanceRecord
  /** Of the record in the log, by the broker's clock. */
  readonly seenAt: number
  /** They come with the first record only, and are kept for the later ones. */
  readonly contracts: InstanceRecord['contracts']
}

export type Instances = {
  /** Takes a record of the registry; the instance, or undefined where it has said goodbye. */
  take(key: string, value: Buffer | null, timestampMs: number): Instance | undefined
  liveOf(ref: string): readonly Instance[]
}

/** The instances of all stages, as `weir.registry` tells of them. */
export function createInstances(now: () => number = Date.now): Instances {
  const byId = new Map<string, Instance>()

  return {
    take(key, value, timestampMs) {
      const record = parseRecord(value)
      if (record === undefined || record.instance !== key) {
        byId.delete(key)
        return undefined
      }
      const before = byId.get(key)
      const contracts = record.contracts ?? before?.contracts
      const instance = { record, seenAt: timestampMs, contracts }
      byId.delete(key)
      byId.set(key, instance)
      if (byId.size > INSTANCES_MAX) byId.delete(byId.keys().next().value as string)
      return instance
    },
    liveOf(ref) {
      const since = now() - LIVE_MS
      return [...byId.values()].filter(
        ({ record, seenAt }) =>
          record.stage === ref && seenAt > since && record.state !== 'terminated',
      )
    },
  }
}

function parseRecord(value: Buffer | null): InstanceRecord | undefined {
  if (value === null) return undefined
  try {
    const record = JSON.parse(value.toString()) as InstanceRecord | null
    return record !== null && typeof record === 'object' && record.v === 1 ? record : undefined
  } catch {
    return undefined
  }
}
