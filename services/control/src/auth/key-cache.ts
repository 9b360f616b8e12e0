import type { FoundKey } from '@weir/postgres'
import { type ApiKey, verifySecret } from './api-key.ts'

/** A revoked key works for at most this long on other instances; on this one not at all. */
const KEPT_MS = 20_000
const KEYS_MAX = 10_000

type Entry = { readonly key: FoundKey | undefined; readonly readAt: number }

/** A key that is known, and why it is no credential all the same. */
export type RefusedKey = {
  readonly found: FoundKey
  readonly refusal: 'wrong_secret' | 'revoked' | 'expired'
}
export type Verdict = { readonly found: FoundKey; readonly refusal: null } | RefusedKey

export type KeyCache = {
  /** A key is good where its secret is right and it is neither revoked nor expired; undefined: unknown. */
  verify(given: ApiKey): Promise<Verdict | undefined>
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
      const { key: found } = await read(keyId)
      // The same work is done for a key that nobody knows.
      const isRight = verifySecret(secret, found?.secretHash)
      return found && { found, refusal: refusalOf(found, isRight, now()) }
    },
    forget(id) {
      // Look-ups under way may still answer the key as it was: what they read is not kept.
      entries.clear()
      for (const [keyId, { key }] of fresh) if (key?.id === id) fresh.delete(keyId)
    },
  }
}

/** In this order: whoever does not know the secret is not told what became of the key. */
function refusalOf(
  { revokedAt, expiresAt }: FoundKey,
  isRight: boolean,
  nowMs: number,
): Verdict['refusal'] {
  if (!isRight) return 'wrong_secret'
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && expiresAt.getTime() <= nowMs ? 'expired' : null
}
