import type { ClientError } from './internals.ts'

/** What of the configuration an explanation needs. */
export type ConnectionKind = {
  readonly brokers: readonly string[]
  readonly isEncrypted: boolean
  readonly username: string | undefined
}

export type Explanation = {
  /** Who refuses what, and what to do about it. */
  readonly sentence: string
  /** False where it may also be an outage that passes. */
  readonly isCertain: boolean
}

/** What our patch of the connection says when the answer to plain bytes is an alert of TLS. */
export const TLS_ALERT = 'TLS_ALERT_ANSWERED'

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

/**
 * Says in words what is wrong with how we connect, where an error of the client shows it; undefined
 * for everything else. Never holds a password.
 */
export function explainConnection(error: unknown, how: ConnectionKind): Explanation | undefined {
  const where = how.brokers.join(', ')
  for (const { name, type, code, message } of chainOf(error)) {
    const certain = (sentence: string): Explanation => ({ sentence, isCertain: true })
    if (code === TLS_ALERT)
      return certain(`${where} speaks TLS and was spoken to without: set WEIR_KAFKA_TLS=true`)
    if (typeof code === 'string' && UNKNOWN_AUTHORITY.has(code))
      return certain(
        `the certificate of ${where} is not from an authority that is known here: set ` +
          'WEIR_KAFKA_TLS_CA_FILE to the certificate of the authority that issued it',
      )
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
      return certain(
        `the certificate of ${where} is for another name: use that name in WEIR_KAFKA_BROKERS, or ` +
          `set WEIR_KAFKA_TLS_SERVER_NAME (${message})`,
      )
    if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
      return certain(`the certificate of ${where} is not valid today: renew it, or set the clock`)
    if (
      /ALERT_(?:CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE|BAD_CERTIFICATE|UNKNOWN_CA)/.test(`${code}`)
    )
      return certain(
        `${where} wants a certificate of ours that it knows: set WEIR_KAFKA_TLS_CERT_FILE and ` +
          'WEIR_KAFKA_TLS_KEY_FILE',
      )
    if (name === 'KafkaJSSASLAuthenticationError' || type === 'SASL_AUTHENTICATION_FAILED')
      return certain(
        `${where} refuses the user "${how.username}": check WEIR_KAFKA_SASL_USERNAME, ` +
          `WEIR_KAFKA_SASL_PASSWORD and WEIR_KAFKA_SASL_MECHANISM (${message})`,
      )
    if (type === 'UNSUPPORTED_SASL_MECHANISM')
      return certain(`${where} does not take this WEIR_KAFKA_SASL_MECHANISM (${message})`)
    if (type === 'ILLEGAL_SASL_STATE' && how.username !== undefined)
      return certain(`${where} takes no user: leave WEIR_KAFKA_SASL_MECHANISM unset`)
    if (how.isEncrypted && /wrong version number|before secure TLS connection/.test(message))
      return {
        sentence: `${where} may not speak TLS: if that is meant, leave WEIR_KAFKA_TLS unset`,
        isCertain: false,
      }
    if (how.username === undefined && name === 'KafkaJSConnectionClosedError')
      return {
        sentence: `${where} closes the connection: if it asks for a user, set WEIR_KAFKA_SASL_MECHANISM, WEIR_KAFKA_SASL_USERNAME and WEIR_KAFKA_SASL_PASSWORD`,
        isCertain: false,
      }
  }
  return undefined
}

function chainOf(error: unknown): ClientError[] {
  const chain: ClientError[] = []
  for (let at = error; at instanceof Error && chain.length < 8; ) {
    const one = at as ClientError
    chain.push(one)
    at = one.cause ?? one.errors?.[0]
  }
  return chain
}
