import type { DispatcherRecord } from '@weir/contracts'

/** A dispatcher tells something every 5 s; who has said nothing for longer is taken for gone. */
const KNOWN_MS = 15_000

/** What the dispatcher that holds the lease has told last. */
export type DispatcherFigures = {
  take(value: Buffer | null): void
  /** Undefined where no dispatcher was heard of lately. */
  get(): Pick<DispatcherRecord, 'held' | 'queue'> | undefined
}

export function createDispatcherFigures(
  now: () => number = () => performance.now(),
): DispatcherFigures {
  let record: DispatcherRecord | undefined
  let heardAtMs = Number.NEGATIVE_INFINITY
  return {
    take(value) {
      const next = parseRecord(value)
      if (next === undefined || next.fencing < (record?.fencing ?? 0)) return
      record = next
      heardAtMs = now()
    },
    get: () => (now() - heardAtMs < KNOWN_MS ? record : undefined),
  }
}

function parseRecord(value: Buffer | null): DispatcherRecord | undefined {
  if (value === null) return undefined
  try {
    const record = JSON.parse(value.toString()) as DispatcherRecord | null
    return record !== null && record.v === 1 && typeof record.held === 'object' ? record : undefined
  } catch {
    return undefined
  }
}
