/** Where a log ended at a time. */
type Point = { readonly atMs: number; readonly end: number }

/**
 * When the records of one partition were appended, from looks at its end: a record came between the
 * last look that did not have it and the first one that did, so this is right to half the time
 * between two looks, and costs no call. Bounded: far back it becomes coarser, never wrong.
 */
export type OffsetTimes = {
  /** The log ended here at this time; an end that is lower than before is ignored. */
  look(atMs: number, end: number): void
  /** The exact time of a record, from the log itself. */
  know(offset: number, atMs: number): void
  /** Nobody asks for records before this one any more. */
  forget(before: number): void
  /** Undefined for records from before the first look. */
  timeOf(offset: number): number | undefined
  readonly size: number
}

const POINTS_MAX = 256

export function createOffsetTimes(): OffsetTimes {
  let points: Point[] = []

  const thin = () => {
    if (points.length <= POINTS_MAX) return
    // The newer half is asked for more finely.
    const half = points.length >> 1
    points = points.filter((_, index) => index >= half || index % 2 === 0)
  }

  return {
    look(atMs, end) {
      const last = points.at(-1)
      if (last !== undefined && (end < last.end || atMs < last.atMs)) return
      // A stretch without records needs its two ends only.
      if (last !== undefined && last.end === end && points.at(-2)?.end === end) points.pop()
      points.push({ atMs, end })
      thin()
    },
    know(offset, atMs) {
      const first = points[0]
      if (first !== undefined && first.end <= offset) return
      points = [{ atMs, end: offset }, { atMs, end: offset + 1 }, ...points]
    },
    forget(before) {
      let from = 0
      while (from + 1 < points.length && (points[from + 1] as Point).end <= before) from += 1
      if (from > 0) points = points.slice(from)
    },
    timeOf(offset) {
      const after = points.findIndex(({ end }) => end > offset)
      if (after < 1) return undefined
      const before = points[after - 1] as Point
      const there = points[after] as Point
      const share = (offset + 0.5 - before.end) / (there.end - before.end)
      return before.atMs + share * (there.atMs - before.atMs)
    },
    get size() {
      return points.length
    },
  }
}
