import type { FoundKey } from '@weir/postgres'
import { type ApiKey, verifySecret } from './api-key.ts'

/** A revoked key works for at most this long on other instances; on this one not at all. */
const KEPT_MS = 20_000
const KEYS_MAX = 10_000

type Entry = { readonly key: FoundKey | undefined; readonly readAt: number }

export type KeyCache = {
  /** The key where the secret is right, it is not revoked and not expired; else undefined. */
  verify(given: ApiKey): Promise<FoundKey | undefined>
  /** By the key's own id, as a revocation names it. */
  forget(id: string): void
}

/**
 * Keys by their id, read again after 20 s. Unknown ids are not kept: they would push known ones out.
 * Concurrent requests with one key share one look-up.
 */
export function createKeyCache(
  find: (keyId: string) => Promise<FoundKey | undefined>,
  now: () => number = Date.now,
): KeyCache {
  const entries = new Map<string, Promise<Entry>>()
  const fresh = new Map<string, Entry>()

  async function read(keyId: string): Promise<Entry> {
    const known = fresh.get(keyId)
    if (known !== undefined && now() - known.readAt < KEPT_MS) return known
    const underWay = entries.get(keyId)
    if (underWay !== undefined) return underWay
    const readAt = now()
    const reading = find(keyId).then((key): Entry => ({ key, readAt }))
    entries.set(keyId, reading)
    try {
      const entry = await reading
      fresh.delete(keyId)
      // Forgotten while it was read (revoked just now): what was read may be older than that.
      if (entries.get(keyId) === reading && entry.key !== undefined) fresh.set(keyId, entry)
      if (fresh.size > KEYS_MAX) fresh.delete(fresh.keys().next().value as string)
      return entry
    } finally {
      if (entries.get(keyId) === reading) entries.delete(keyId)
    }
  }

  return {
    async verify({ keyId, secret }) {
      const { key } = await read(keyId)
      const isRight = verifySecret(secret, key?.secretHash)
      if (!isRight || key === undefined || key.revokedAt !== null) return undefined
      return key.expiresAt !== null && key.expiresAt.getTime() <= now() ? undefined : key
    },
    forget(id) {
      // Look-ups under way may still answer the key as it was: what they read is not kept.
      entries.clear()
      for (const [keyId, { key }] of fresh) if (key?.id === id) fresh.delete(keyId)
    },
  }
}
