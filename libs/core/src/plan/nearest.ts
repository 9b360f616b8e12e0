function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}

const CANDIDATES_MAX = 1_000
const TEXT_MAX = 64

/** The candidate that was probably meant, or undefined where none is close. */
export function nearest(text: string, candidates: Iterable<string>): string | undefined {
  if (text.length > TEXT_MAX) return undefined
  let best: string | undefined
  let bestDistance = Math.min(3, Math.ceil(text.length / 2)) + 1
  let looked = 0
  for (const candidate of candidates) {
    if (++looked > CANDIDATES_MAX) break
    if (Math.abs(candidate.length - text.length) >= bestDistance) continue
    const found = distance(text, candidate)
    if (found > 0 && found < bestDistance) {
      best = candidate
      bestDistance = found
    }
  }
  return best
}
