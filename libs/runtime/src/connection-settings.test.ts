import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthority } from '../../../test/support/certificates.ts'
import { ConfigError, readConfig } from './config.ts'
import {
  kafkaSettings,
  postgresSettings,
  toKafkaConnection,
  toPostgresConnection,
} from './connection-settings.ts'

const authority = createAuthority('an authority')
const { cert, key } = authority.issue('someone')
const kafka = (env: Record<string, string>) =>
  toKafkaConnection(readConfig(kafkaSettings, { WEIR_KAFKA_BROKERS: 'a:9092', ...env }))
const postgres = (query: string, env: Record<string, string> = {}) =>
  toPostgresConnection(
    readConfig(postgresSettings, {
      WEIR_POSTGRES_URL: `postgres://r:secret@db/weir${query}`,
      ...env,
    }),
  )

function faultsOf(act: () => unknown): readonly string[] {
  try {
    act()
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.ok(!error.message.includes('secret'), 'a password is shown')
    return error.faults
  }
  return assert.fail('no fault was found')
}

test('brokers alone make a plain connection', () => {
  assert.deepEqual(kafka({ WEIR_KAFKA_BROKERS: 'a:9092,b:9092' }), {
    brokers: ['a:9092', 'b:9092'],
  })
  assert.throws(() => kafka({ WEIR_KAFKA_BROKERS: 'a' }), ConfigError)
})

test('TLS always checks the other side, with the authorities of the system or one of our own', () => {
  assert.deepEqual(kafka({ WEIR_KAFKA_TLS: 'true' }).ssl, { rejectUnauthorized: true })
  assert.deepEqual(
    kafka({
      WEIR_KAFKA_TLS_CA: authority.ca,
      WEIR_KAFKA_TLS_CERT: cert,
      WEIR_KAFKA_TLS_KEY: key,
      WEIR_KAFKA_TLS_SERVER_NAME: 'kafka.internal',
    }).ssl,
    { rejectUnauthorized: true, ca: authority.ca, cert, key, servername: 'kafka.internal' },
  )
})

test('a user of Kafka has a mechanism, a name and a password', () => {
  const user = { WEIR_KAFKA_SASL_USERNAME: 'u', WEIR_KAFKA_SASL_PASSWORD: 'secret' }
  assert.deepEqual(kafka({ ...user, WEIR_KAFKA_SASL_MECHANISM: 'scram-sha-512' }).sasl, {
    mechanism: 'scram-sha-512',
    username: 'u',
    password: 'secret',
  })
  assert.match(faultsOf(() => kafka(user)).join(), /WEIR_KAFKA_SASL_MECHANISM must be set/)
  assert.equal(faultsOf(() => kafka({ WEIR_KAFKA_SASL_MECHANISM: 'scram-sha-256' })).length, 2)
})

test('a password is not sent as it is over a connection that anyone can read', () => {
  const env = {
    WEIR_KAFKA_SASL_MECHANISM: 'plain',
    WEIR_KAFKA_SASL_USERNAME: 'u',
    WEIR_KAFKA_SASL_PASSWORD: 'secret',
  }
  assert.match(faultsOf(() => kafka(env)).join(), /set WEIR_KAFKA_TLS/)
  assert.equal(kafka({ ...env, WEIR_KAFKA_TLS: 'true' }).sasl?.mechanism, 'plain')
})

test('certificates and keys that are none, or do not belong together, are found at the start', () => {
  const other = authority.issue('another')
  const faults = [
    faultsOf(() => kafka({ WEIR_KAFKA_TLS_CA: '/etc/ca.pem' })),
    faultsOf(() => kafka({ WEIR_KAFKA_TLS_CERT: cert })),
    faultsOf(() => kafka({ WEIR_KAFKA_TLS_CERT: cert, WEIR_KAFKA_TLS_KEY: other.key })),
    faultsOf(() => kafka({ WEIR_KAFKA_TLS_CERT: cert, WEIR_KAFKA_TLS_KEY: 'secret' })),
    faultsOf(() => kafka({ WEIR_KAFKA_TLS_SERVER_NAME: 'x' })),
  ]
  const wanted = [
    /WEIR_KAFKA_TLS_CA must hold certificates in PEM/,
    /must be set together/,
    /is not the key of the certificate/,
    /must hold a private key/,
    /is of no use without WEIR_KAFKA_TLS/,
  ]
  for (const [at, pattern] of wanted.entries()) assert.match(String(faults[at]), pattern)
})

test('sslmode of a Postgres address means the check of the whole certificate, or no TLS', () => {
  assert.deepEqual(postgres(''), { url: 'postgres://r:secret@db/weir' })
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    assert.deepEqual(postgres(`?sslmode=${mode}`), {
      url: 'postgres://r:secret@db/weir',
      tls: { rejectUnauthorized: true },
    })
  }
  assert.equal(postgres('?sslmode=disable').tls, undefined)
  assert.equal(postgres('', { WEIR_POSTGRES_TLS_CA: authority.ca }).tls?.ca, authority.ca)
})

test('an address of Postgres that would trust any server, or reads files by itself, is refused', () => {
  for (const mode of ['no-verify', 'prefer', 'allow'])
    assert.match(faultsOf(() => postgres(`?sslmode=${mode}`)).join(), /would trust any server/)
  for (const [query, instead] of [
    ['sslrootcert=/x', 'WEIR_POSTGRES_TLS_CA_FILE'],
    ['ssl=0', 'WEIR_POSTGRES_TLS'],
  ])
    assert.ok(faultsOf(() => postgres(`?${query}`))[0]?.endsWith(`set ${instead}`))
  assert.match(
    faultsOf(() => postgres('?sslmode=disable', { WEIR_POSTGRES_TLS: 'true' })).join(),
    /the opposite/,
  )
})
