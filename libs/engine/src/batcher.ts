import type { Place } from '@weir/core'

/**
 * Collects single entries into batches of one tenant and lane: full ones go at once, others when
 * their first entry has waited.
 */
export type Batcher<Entry> = {
  add(entry: Entry, place: Place): void
  readonly size: number
  /** Forgets what waits, and its timers. */
  clear(): void
}

export function createBatcher<Entry>(options: {
  readonly max: number
  readonly waitMs: number
  readonly onBatch: (entries: readonly Entry[], place: Place) => void
}): Batcher<Entry> {
  type Open = { entries: Entry[]; place: Place; timer: NodeJS.Timeout | undefined }
  const open = new Map<string, Open>()
  let size = 0

  const close = (key: string, batch: Open) => {
    clearTimeout(batch.timer)
    open.delete(key)
    size -= batch.entries.length
    options.onBatch(batch.entries, batch.place)
  }

  return {
    get size() {
      return size
    },
    add(entry, place) {
      const key = `${place.lane}/${place.tenant}`
      let batch = open.get(key)
      if (batch === undefined) {
        const opened: Open = { entries: [], place, timer: undefined }
        opened.timer = setTimeout(() => close(key, opened), options.waitMs)
        open.set(key, opened)
        batch = opened
      }
      batch.entries.push(entry)
      if (place.priority > batch.place.priority) batch.place = place
      size += 1
      if (batch.entries.length >= options.max) close(key, batch)
    },
    clear() {
      for (const { timer } of open.values()) clearTimeout(timer)
      open.clear()
      size = 0
    },
  }
}
