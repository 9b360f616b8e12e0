/**
 * Which records of a partition are finished. The watermark is the lowest offset that is not: it is
 * what may be committed. Offsets begin in ascending order and finish in any.
 */
export type Watermark = {
  /** The lowest unfinished offset, or the next one to begin. */
  readonly offset: number
  /** Records that have begun and not finished. */
  readonly unfinished: number
  /** Offset after the highest that has begun. */
  readonly next: number
  begin(offset: number): void
  /** Finishes a record; finishing twice, or what never began, changes nothing. */
  finish(offset: number): void
  isFinished(offset: number): boolean
  /** Finished stretches beyond the watermark: [first offset, length], ascending. */
  finishedBeyond(): [first: number, length: number][]
}

export function createWatermark(start: number): Watermark {
  // done[i] stands for offset first + i; what lies before `head` is finished and forgotten.
  let first = start
  let head = 0
  let done: boolean[] = []
  let unfinished = 0

  const advance = () => {
    while (head < done.length && done[head]) head += 1
    if (head > 1024 && head * 2 > done.length) {
      done = done.slice(head)
      first += head
      head = 0
    }
  }

  return {
    get offset() {
      return first + head
    },
    get unfinished() {
      return unfinished
    },
    get next() {
      return first + done.length
    },
    begin(offset) {
      if (offset < first + done.length) throw new Error(`offset ${offset} began out of order`)
      // An offset that holds no record of ours (a gap) is finished by definition.
      while (first + done.length < offset) done.push(true)
      done.push(false)
      unfinished += 1
      advance()
    },
    finish(offset) {
      const at = offset - first
      if (at < head || at >= done.length || done[at]) return
      done[at] = true
      unfinished -= 1
      if (at === head) advance()
    },
    isFinished(offset) {
      const at = offset - first
      return at < head || (at < done.length && done[at] === true)
    },
    finishedBeyond() {
      const runs: [number, number][] = []
      for (let at = head; at < done.length; at += 1) {
        if (!done[at]) continue
        const last = runs.at(-1)
        if (last !== undefined && last[0] + last[1] === first + at) last[1] += 1
        else runs.push([first + at, 1])
      }
      return runs
    },
  }
}
