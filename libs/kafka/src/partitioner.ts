const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Murmur2 of the first `length` bytes, as Kafka's own clients compute it, so that all of them agree where a key belongs. */
export function murmur2(key: Uint8Array, length: number = key.length): number {
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

const scratch = Buffer.allocUnsafe(1_024)
const UTF8_MAX_BYTES = 3

/** The partition of a key in a topic of `partitions` partitions. */
export function partitionFor(key: Uint8Array | string, partitions: number): number {
  return (hashOf(key) & 0x7fffffff) % partitions
}

/** A key is hashed for each record: a buffer of its own for each would cost more than the hash. */
function hashOf(key: Uint8Array | string): number {
  if (typeof key !== 'string') return murmur2(key)
  if (key.length * UTF8_MAX_BYTES > scratch.length) return murmur2(Buffer.from(key))
  return murmur2(scratch, scratch.write(key))
}
