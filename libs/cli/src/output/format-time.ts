/** A duration in milliseconds for people: `3.1 ms`, `4.2 s`, `7 min`, `3 h`, `5 d`. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '-'
  if (ms < 1_000) return `${trim(ms)} ms`
  if (ms < 120_000) return `${trim(ms / 1_000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`
  return `${Math.round(ms / 86_400_000)} d`
}

const trim = (value: number): string => String(Math.round(value * 10) / 10)

/** How long ago a time of RFC 3339 was. */
export function formatAge(time: string | null | undefined, nowMs: number = Date.now()): string {
  if (time === null || time === undefined) return '-'
  return formatMs(Math.max(0, Math.round((nowMs - Date.parse(time)) / 1_000) * 1_000)).replace(
    '0 ms',
    '0 s',
  )
}

/** Between two times; open where the second is not there yet. */
export function formatSpan(from: string | null, to: string | null): string {
  return from === null || to === null ? '-' : formatMs(Date.parse(to) - Date.parse(from))
}
