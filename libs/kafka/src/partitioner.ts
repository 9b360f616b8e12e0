const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Murmur2 as Kafka's own clients compute it, so that all of them agree where a key belongs. */
export function murmur2(key: Uint8Array): number {
  const length = key.length
  let hash = SEED ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let k =
      (key[at] as number) |
      ((key[at + 1] as number) << 8) |
      ((key[at + 2] as number) << 16) |
      ((key[at + 3] as number) << 24)
    k = Math.imul(k, M)
    k ^= k >>> 24
    hash = Math.imul(hash, M) ^ Math.imul(k, M)
  }
  const rest = length - at
  if (rest === 3) hash ^= (key[at + 2] as number) << 16
  if (rest >= 2) hash ^= (key[at + 1] as number) << 8
  if (rest >= 1) {
    hash ^= key[at] as number
    hash = Math.imul(hash, M)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, M)
  return hash ^ (hash >>> 15)
}

/** The partition of a key in a topic of `partitions` partitions. */
export function partitionFor(key: Uint8Array | string, partitions: number): number {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  return (murmur2(bytes) & 0x7fffffff) % partitions
}
