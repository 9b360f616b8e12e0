/** More lines than this on a side are not compared one by one. */
const LINES_MAX = 4_000

/** Lines with their mark: ` ` in both, `-` only before, `+` only after. Empty where both are equal. */
export function diffLines(before: readonly string[], after: readonly string[]): string[] {
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1
  let tail = 0
  while (
    tail < Math.min(before.length, after.length) - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail += 1
  }
  const olds = before.slice(head, before.length - tail)
  const news = after.slice(head, after.length - tail)
  if (olds.length === 0 && news.length === 0) return []
  const same = (line: string) => ` ${line}`
  return [
    ...before.slice(0, head).map(same),
    ...diffMiddle(olds, news),
    ...before.slice(before.length - tail).map(same),
  ]
}

/** By the longest common subsequence, whose table takes one cell per pair of lines. */
function diffMiddle(olds: readonly string[], news: readonly string[]): string[] {
  if (olds.length > LINES_MAX || news.length > LINES_MAX) {
    return [...olds.map((line) => `-${line}`), ...news.map((line) => `+${line}`)]
  }
  const width = news.length + 1
  const lengths = new Uint16Array((olds.length + 1) * width)
  const lengthAt = (a: number, b: number): number => lengths[a * width + b] as number
  for (let a = olds.length - 1; a >= 0; a -= 1) {
    for (let b = news.length - 1; b >= 0; b -= 1) {
      lengths[a * width + b] =
        olds[a] === news[b]
          ? lengthAt(a + 1, b + 1) + 1
          : Math.max(lengthAt(a + 1, b), lengthAt(a, b + 1))
    }
  }
  const lines: string[] = []
  let a = 0
  let b = 0
  while (a < olds.length || b < news.length) {
    if (a < olds.length && b < news.length && olds[a] === news[b]) {
      lines.push(` ${olds[a]}`)
      a += 1
      b += 1
    } else if (a < olds.length && (b === news.length || lengthAt(a + 1, b) >= lengthAt(a, b + 1))) {
      lines.push(`-${olds[a]}`)
      a += 1
    } else {
      lines.push(`+${news[b]}`)
      b += 1
    }
  }
  return lines
}

/** Only the lines that differ, with some around them; `…` for what is left out. */
export function keepContext(lines: readonly string[], around = 3): string[] {
  const isNear = (at: number): boolean =>
    lines.slice(Math.max(0, at - around), at + around + 1).some((line) => !line.startsWith(' '))
  return lines.flatMap((line, at) => {
    if (isNear(at)) return [line]
    return at === 0 || isNear(at - 1) ? [' …'] : []
  })
}
