import { sqlStateOf } from './errors.ts'

const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
])

/**
 * Says in words what is wrong with how we connect, where an error shows it; undefined for everything
 * else. Never holds a password.
 */
function explainDatabase(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { message } = error
  const code = 'code' in error ? String(error.code) : ''
  switch (sqlStateOf(error)) {
    case '28P01':
      return `the database refuses the login (${message}): check role and password in the address`
    case '28000':
      return /no encryption|SSL off/.test(message)
        ? `the database takes no connection without TLS (${message}): set WEIR_POSTGRES_TLS=true`
        : `the database refuses the login (${message}): its pg_hba.conf decides who may come`
    case '3D000':
      return `the database is not there (${message}): run the migrations first`
    case '53300':
      return `the database has no connection left (${message}): raise max_connections, or use a pooler`
  }
  if (UNKNOWN_AUTHORITY.has(code))
    return (
      "the database's certificate is not from an authority that is known here: set " +
      'WEIR_POSTGRES_TLS_CA_FILE to the certificate of the authority that issued it'
    )
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return (
      "the database's certificate is for another name: use that name in the address, or set " +
      `WEIR_POSTGRES_TLS_SERVER_NAME (${message})`
    )
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return "the database's certificate is not valid today: renew it, or set the clock"
  if (/does not support SSL/.test(message))
    return 'the database does not speak TLS: if that is meant, leave WEIR_POSTGRES_TLS unset'
  return undefined
}

/** Runs what connects first, and says what to do where the connection is refused. */
export async function withExplanation<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const sentence = explainDatabase(error)
    throw sentence === undefined ? error : new Error(sentence, { cause: error })
  }
}
