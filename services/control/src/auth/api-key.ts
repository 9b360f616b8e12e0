import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** The parts of a credential `weir_<keyId>_<secret>`. */
export type ApiKey = { readonly keyId: string; readonly secret: string }

const KEY = /^weir_([a-zA-Z0-9]{1,32})_([A-Za-z0-9_-]{16,128})$/

/** The key in an `Authorization: Bearer` header, or undefined where there is none of our form. */
export function parseBearer(header: string | undefined): ApiKey | undefined {
  if (header === undefined || header.length > 256) return undefined
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(header) ?? []
  return parseApiKey(token)
}

export function parseApiKey(text: string): ApiKey | undefined {
  const match = KEY.exec(text)
  if (match === null) return undefined
  return { keyId: match[1] as string, secret: match[2] as string }
}

/** A new key: 80 bits of id, 256 bits of secret. */
export function newApiKey(): ApiKey {
  return {
    keyId: randomBytes(10).toString('hex'),
    secret: randomBytes(32).toString('base64url'),
  }
}

export const formatApiKey = (key: ApiKey): string => `weir_${key.keyId}_${key.secret}`

/** SHA-256; the secret has 256 random bits, so a slow or peppered hash would add cost only. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

const NO_HASH = randomBytes(32)

/** True where the secret has this hash; takes the same work where there is no hash to compare with. */
export function verifySecret(secret: string, expected: Buffer | undefined): boolean {
  const actual = hashSecret(secret)
  const reference = expected?.length === actual.length ? expected : NO_HASH
  return timingSafeEqual(actual, reference) && reference === expected
}
