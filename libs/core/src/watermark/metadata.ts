/**
 * What is committed beside the watermark, so that the next owner can restore the partition's state.
 * - `openFrom`: the oldest record of an open join, else the watermark.
 * - `restoreFrom`: where the refill starts: the first record not older than the duplicates' horizon
 *   before the record at `openFrom`.
 * - `generation`: the one in force in the log just before `restoreFrom`; without it a zombie's record
 *   that stands after an owner record which the refill no longer reads would count again.
 * - `finished`: finished stretches beyond the watermark.
 * - `started`: how many of the unfinished records were taken up: they run, wait for their next attempt
 *   or for acks. For who measures what waits; the next owner does not need it, and instances of before
 *   it came do not say it.
 */
export type CommitMetadata = {
  readonly openFrom: number
  readonly restoreFrom: number
  readonly generation: number
  readonly finished: readonly (readonly [first: number, length: number])[]
  readonly started?: number
}

const FORMAT = '1'

/**
 * Text form: format, then base-36 numbers: watermark − openFrom, openFrom − restoreFrom, generation,
 * and for each finished stretch its distance from the end of the one before and its length. Behind
 * them, where earlier readers of this format do not look, stands `started`.
 */
export function encodeMetadata(watermark: number, metadata: CommitMetadata): string {
  const numbers = [
    watermark - metadata.openFrom,
    metadata.openFrom - metadata.restoreFrom,
    metadata.generation,
  ]
  let end = watermark
  for (const [first, length] of metadata.finished) {
    numbers.push(first - end, length)
    end = first + length
  }
  const list = numbers.map((number) => number.toString(36)).join(',')
  return metadata.started === undefined
    ? `${FORMAT};${list}`
    : `${FORMAT};${list};${metadata.started.toString(36)}`
}

/** What `encodeMetadata` wrote; undefined for text of another format, which is then as good as none. */
export function decodeMetadata(watermark: number, text: string): CommitMetadata | undefined {
  const [format, list, taken = ''] = text.split(';')
  if (format !== FORMAT || list === undefined) return undefined
  const numbers = list.split(',').map((part) => Number.parseInt(part, 36))
  if (numbers.length < 3 || numbers.some((number) => !Number.isSafeInteger(number)))
    return undefined
  const [back, further, generation] = numbers as [number, number, number]
  const openFrom = watermark - back
  const started = Number.parseInt(taken, 36)
  const finished: [number, number][] = []
  let end = watermark
  for (let at = 3; at + 1 < numbers.length; at += 2) {
    const first = end + (numbers[at] as number)
    const length = numbers[at + 1] as number
    finished.push([first, length])
    end = first + length
  }
  return {
    openFrom,
    restoreFrom: openFrom - further,
    generation,
    finished,
    ...(Number.isSafeInteger(started) && { started }),
  }
}
