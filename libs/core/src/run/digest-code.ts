/** Codes below this stand for markers, not for digests. */
const FIRST_DIGEST = 16
const MARKERS: Readonly<Record<string, number>> = { skipped: 1, failed: 2, empty: 3 }

/**
 * 32 bits of a digest: enough to tell two answers of one task apart, and small enough to keep for
 * each of a fan-out's items. A consumer that took a marker names the marker's kind instead.
 */
export function digestCode(digest: string): number {
  const marker = Object.hasOwn(MARKERS, digest) ? MARKERS[digest] : undefined
  if (marker !== undefined) return marker
  let hash = 0x811c9dc5
  for (let i = 0; i < digest.length; i++) {
    hash = Math.imul(hash ^ digest.charCodeAt(i), 0x01000193)
  }
  hash >>>= 0
  return hash < FIRST_DIGEST ? hash + FIRST_DIGEST : hash
}

/** The marker's kind that a code stands for, if any. */
export function markerOf(code: number): 'skipped' | 'failed' | 'empty' | undefined {
  if (code === 1) return 'skipped'
  if (code === 2) return 'failed'
  return code === 3 ? 'empty' : undefined
}
