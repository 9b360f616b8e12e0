/**
 * Broker times of a partition's records, sampled: enough to find the first record that is not older
 * than a given time, rather a little early than late. Also knows which generation owned the log.
 */
export type TimeIndex = {
  add(offset: number, timestampMs: number, generation: number): void
  /** Broker time of the record at an offset, or of a sampled one before it. */
  timeAt(offset: number): number
  /** The last sampled offset all of whose successors are not older than `timeMs`, at most `limit`. */
  firstNotOlder(timeMs: number, limit: number): { offset: number; generation: number }
  forgetBefore(offset: number): void
}

type Sample = { readonly offset: number; readonly timestampMs: number; readonly generation: number }

const EVERY_RECORDS = 128
const EVERY_MS = 1_000

export function createTimeIndex(): TimeIndex {
  let samples: Sample[] = []

  /** Index of the last sample for which `holds`, which is true for a prefix; -1 for none. */
  const lastWhere = (holds: (sample: Sample) => boolean): number => {
    let low = 0
    let high = samples.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (holds(samples[middle] as Sample)) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  return {
    add(offset, timestampMs, generation) {
      const last = samples.at(-1)
      if (
        last !== undefined &&
        last.generation === generation &&
        offset - last.offset < EVERY_RECORDS &&
        timestampMs - last.timestampMs < EVERY_MS
      ) {
        return
      }
      // A broker's clock may step back: keep the samples ascending, which only errs on the early side.
      const time = last === undefined ? timestampMs : Math.max(last.timestampMs, timestampMs)
      samples.push({ offset, timestampMs: time, generation })
    },
    timeAt(offset) {
      return samples[lastWhere((sample) => sample.offset <= offset)]?.timestampMs ?? 0
    },
    firstNotOlder(timeMs, limit) {
      const found =
        samples[
          Math.max(
            0,
            lastWhere((sample) => sample.timestampMs < timeMs && sample.offset <= limit),
          )
        ]
      if (found === undefined || found.offset > limit) return { offset: limit, generation: 0 }
      return { offset: found.offset, generation: found.generation }
    },
    forgetBefore(offset) {
      const keep = lastWhere((sample) => sample.offset <= offset)
      if (keep > 64) samples = samples.slice(keep)
    },
  }
}
