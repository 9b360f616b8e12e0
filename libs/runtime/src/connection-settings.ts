import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type Config, ConfigError } from './config.ts'
import { flag, list, oneOf, optional, secret, text } from './settings.ts'

const BROKER = /^[^\s:]+:\d{1,5}$/

/** How every process reaches Kafka. */
export const kafkaSettings = {
  kafkaBrokers: list('WEIR_KAFKA_BROKERS', { item: BROKER }),
  prefix: text('WEIR_PREFIX', { default: 'weir', pattern: /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/ }),
  kafkaTls: flag('WEIR_KAFKA_TLS', { default: false }),
  /** PEM; `_FILE` is the usual way. */
  kafkaTlsCa: optional(secret('WEIR_KAFKA_TLS_CA')),
  kafkaTlsCert: optional(secret('WEIR_KAFKA_TLS_CERT')),
  kafkaTlsKey: optional(secret('WEIR_KAFKA_TLS_KEY')),
  kafkaTlsServerName: optional(text('WEIR_KAFKA_TLS_SERVER_NAME', { lengthMax: 253 })),
  kafkaSaslMechanism: optional(
    oneOf('WEIR_KAFKA_SASL_MECHANISM', ['plain', 'scram-sha-256', 'scram-sha-512']),
  ),
  kafkaSaslUsername: optional(secret('WEIR_KAFKA_SASL_USERNAME')),
  kafkaSaslPassword: optional(secret('WEIR_KAFKA_SASL_PASSWORD')),
} as const

/** How a service reaches Postgres; stages do not. */
export const postgresSettings = {
  /** Holds a password, hence a secret. */
  postgresUrl: secret('WEIR_POSTGRES_URL'),
  /** Nobody is a superuser there: what only one could have taken away from a role is told, not refused. */
  postgresManaged: flag('WEIR_POSTGRES_MANAGED', { default: false }),
  postgresTls: flag('WEIR_POSTGRES_TLS', { default: false }),
  postgresTlsCa: optional(secret('WEIR_POSTGRES_TLS_CA')),
  postgresTlsCert: optional(secret('WEIR_POSTGRES_TLS_CERT')),
  postgresTlsKey: optional(secret('WEIR_POSTGRES_TLS_KEY')),
  postgresTlsServerName: optional(text('WEIR_POSTGRES_TLS_SERVER_NAME', { lengthMax: 253 })),
} as const

/** For node:tls. There is no way to switch the check of the other side's certificate off. */
export type TlsOptions = {
  readonly rejectUnauthorized: true
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
}

export type KafkaConnection = {
  readonly brokers: readonly string[]
  readonly ssl?: TlsOptions
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
}

export type PostgresConnection = { readonly url: string; readonly tls?: TlsOptions }

type TlsSettings = {
  readonly isOn: boolean
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
}

/**
 * What the Kafka library's `connectKafka` takes, apart from the client's name and logger. Throws
 * `ConfigError` where settings do not fit together.
 */
export function toKafkaConnection(config: Config<typeof kafkaSettings>): KafkaConnection {
  const faults: string[] = []
  const ssl = toTls(
    'WEIR_KAFKA_TLS',
    {
      isOn: config.kafkaTls,
      ca: config.kafkaTlsCa,
      cert: config.kafkaTlsCert,
      key: config.kafkaTlsKey,
      serverName: config.kafkaTlsServerName,
    },
    faults,
  )
  const sasl = toSasl(config, ssl !== undefined, faults)
  if (faults.length > 0) throw new ConfigError(faults)
  return { brokers: config.kafkaBrokers, ...(ssl && { ssl }), ...(sasl && { sasl }) }
}

function toSasl(
  config: Config<typeof kafkaSettings>,
  isEncrypted: boolean,
  faults: string[],
): KafkaConnection['sasl'] {
  const { kafkaSaslMechanism, kafkaSaslUsername, kafkaSaslPassword } = config
  if (kafkaSaslMechanism === undefined) {
    if (kafkaSaslUsername !== undefined || kafkaSaslPassword !== undefined)
      faults.push('WEIR_KAFKA_SASL_MECHANISM must be set where there is a username or a password')
    return undefined
  }
  if (kafkaSaslUsername === undefined)
    faults.push('WEIR_KAFKA_SASL_USERNAME (or _FILE) must be set beside WEIR_KAFKA_SASL_MECHANISM')
  if (kafkaSaslPassword === undefined)
    faults.push('WEIR_KAFKA_SASL_PASSWORD (or _FILE) must be set beside WEIR_KAFKA_SASL_MECHANISM')
  // SCRAM proves the password without sending it; plain hands it to whoever listens.
  if (kafkaSaslMechanism === 'plain' && !isEncrypted)
    faults.push('WEIR_KAFKA_SASL_MECHANISM "plain" sends the password as it is: set WEIR_KAFKA_TLS')
  return {
    mechanism: kafkaSaslMechanism,
    username: kafkaSaslUsername ?? '',
    password: kafkaSaslPassword ?? '',
  }
}

/**
 * What the database library's pools and clients take. Throws `ConfigError` where settings do not fit
 * together, or the address asks for TLS in a way that would trust any server. `variable` is the one
 * that the address came from.
 */
export function toPostgresConnection(
  config: Config<typeof postgresSettings>,
  variable = 'WEIR_POSTGRES_URL',
): PostgresConnection {
  const faults: string[] = []
  const tls = toTls(
    'WEIR_POSTGRES_TLS',
    {
      isOn: config.postgresTls,
      ca: config.postgresTlsCa,
      cert: config.postgresTlsCert,
      key: config.postgresTlsKey,
      serverName: config.postgresTlsServerName,
    },
    faults,
  )
  const address = readAddress(variable, config.postgresUrl, faults)
  if (faults.length > 0) throw new ConfigError(faults)
  const wanted = tls ?? (address.isTls ? VERIFIED : undefined)
  if (tls !== undefined && address.isTls === false)
    throw new ConfigError([`${variable} says sslmode=disable, WEIR_POSTGRES_TLS the opposite`])
  return { url: address.url, ...(wanted && { tls: wanted }) }
}

/** Said out loud: else NODE_TLS_REJECT_UNAUTHORIZED would switch it off. */
const VERIFIED: TlsOptions = { rejectUnauthorized: true }

function toTls(
  prefix: string,
  { isOn, ca, cert, key, serverName }: TlsSettings,
  faults: string[],
): TlsOptions | undefined {
  const given = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  if (!isOn && Object.keys(given).length === 0) {
    if (serverName !== undefined)
      faults.push(`${prefix}_SERVER_NAME is of no use without ${prefix}`)
    return undefined
  }
  if (ca !== undefined) checkCertificates(`${prefix}_CA`, ca, faults)
  if (cert !== undefined || key !== undefined) checkPair(prefix, cert, key, faults)
  return { ...VERIFIED, ...given, ...(serverName && { servername: serverName }) }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** OpenSSL passes over what it cannot read: without this a wrong file would look like a wrong CA. */
function checkCertificates(
  variable: string,
  pem: string,
  faults: string[],
): X509Certificate | undefined {
  try {
    const [first] = [...pem.matchAll(CERTIFICATE)].map(([text]) => new X509Certificate(text))
    if (first !== undefined) return first
  } catch {
    // Said below.
  }
  faults.push(`${variable} must hold certificates in PEM (-----BEGIN CERTIFICATE-----)`)
  return undefined
}

function checkPair(
  prefix: string,
  cert: string | undefined,
  key: string | undefined,
  faults: string[],
): void {
  if (cert === undefined || key === undefined) {
    faults.push(`${prefix}_CERT and ${prefix}_KEY must be set together`)
    return
  }
  const certificate = checkCertificates(`${prefix}_CERT`, cert, faults)
  try {
    const privateKey = createPrivateKey(key)
    if (certificate !== undefined && !certificate.checkPrivateKey(privateKey))
      faults.push(`${prefix}_KEY is not the key of the certificate in ${prefix}_CERT`)
  } catch {
    faults.push(`${prefix}_KEY must hold a private key in PEM, without a passphrase`)
  }
}

/** What libpq's clients write behind the address; each but `sslmode` has a variable here. */
const ADDRESS_PARAMETERS = {
  sslrootcert: 'WEIR_POSTGRES_TLS_CA_FILE',
  sslcert: 'WEIR_POSTGRES_TLS_CERT_FILE',
  sslkey: 'WEIR_POSTGRES_TLS_KEY_FILE',
  ssl: 'WEIR_POSTGRES_TLS',
  uselibpqcompat: 'WEIR_POSTGRES_TLS',
} as const
const MODES_ON = ['require', 'verify-ca', 'verify-full']

/**
 * The address without `sslmode`, and what that says: `require` and more is TLS with the server's
 * certificate and name checked. The fault never holds the address: there is a password in it.
 */
function readAddress(
  variable: string,
  given: string,
  faults: string[],
): { readonly url: string; readonly isTls?: boolean } {
  const url = URL.parse(given)
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) {
    faults.push(`${variable} must be an address postgres://role:password@host:port/database`)
    return { url: given }
  }
  for (const [name, instead] of Object.entries(ADDRESS_PARAMETERS))
    if (url.searchParams.has(name)) faults.push(`${variable}: instead of ${name} set ${instead}`)
  const mode = url.searchParams.get('sslmode')
  if (mode === null) return { url: given }
  url.searchParams.delete('sslmode')
  if (MODES_ON.includes(mode)) return { url: url.href, isTls: true }
  if (mode === 'disable') return { url: url.href, isTls: false }
  faults.push(`${variable}: sslmode=${mode} would trust any server; use verify-full or disable`)
  return { url: given }
}
