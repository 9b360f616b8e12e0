import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import { parseTicketKey } from '@weir/contracts'
import { ensureInstallationSecrets } from './installation-secrets.ts'
import { makeProcessEnv } from './process-env.ts'
import { platformProcesses } from './processes.ts'
import { readSecret } from './secrets.ts'
import { afterTest, makeTestHome } from './test-support.ts'

test('each process gets its own credentials and no others', (t) => {
  const home = makeTestHome(t)
  const secrets = ensureInstallationSecrets(home)
  const shell = {
    WEIR_POSTGRES_URL: 'postgres://root@elsewhere/x',
    WEIR_POSTGRES_CA: '/etc/ca.pem',
    WEIR_KAFKA_SASL_PASSWORD: 'secret',
    WEIR_STAGE_KEY: 'shell',
    WEIR_API_TOKEN: 'shell',
    WEIR_PREFIX: 'other',
  }
  Object.assign(process.env, shell)
  afterTest(t, () => {
    for (const name of Object.keys(shell)) delete process.env[name]
  })
  const envs = Object.fromEntries(
    platformProcesses.map((subject) => [
      subject.name,
      makeProcessEnv(subject, {
        home,
        kafka: '127.0.0.1:1',
        postgres: 'postgres://postgres:super@127.0.0.1:2/postgres?sslmode=disable',
        secrets,
        httpPort: 3,
        ...(subject.stage ? { stageKey: 'given' } : {}),
      }),
    ]),
  )
  const own = (name: string): string[] =>
    Object.keys(envs[name] ?? {})
      .filter((variable) => /KEY|POSTGRES|TOKEN/.test(variable))
      .sort()
  assert.deepEqual(own('locate'), ['WEIR_STAGE_KEY'])
  assert.equal(envs.locate?.WEIR_STAGE_KEY, 'given')
  assert.deepEqual(own('control'), [
    'WEIR_MASTER_KEY_FILE',
    'WEIR_OPERATOR_KEY_FILE',
    'WEIR_POSTGRES_CA',
    'WEIR_POSTGRES_URL',
  ])
  assert.deepEqual(own('ledger'), ['WEIR_LEDGER_KEY_FILE', 'WEIR_POSTGRES_CA', 'WEIR_POSTGRES_URL'])
  assert.equal(
    envs.ledger?.WEIR_POSTGRES_URL,
    `postgres://weir_ledger:${secrets.passwords.ledger}@127.0.0.1:2/weir?sslmode=disable`,
  )
  assert.equal(envs.locate?.WEIR_PREFIX, 'other')
  assert.equal(envs.locate?.WEIR_KAFKA_SASL_PASSWORD, 'secret')
})

test('secrets are made once, for this user alone', (t) => {
  const home = makeTestHome(t)
  const secrets = ensureInstallationSecrets(home)
  assert.deepEqual(ensureInstallationSecrets(home), secrets)
  assert.match(secrets.operatorKey, /^weir_[0-9a-f]{16}_[0-9a-f]{64}$/)
  for (const file of Object.values(secrets.files)) assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(Buffer.from(readSecret(home, 'master-key') ?? '', 'base64url').length, 32)
  assert.equal(parseTicketKey(readSecret(home, 'ledger-key') ?? '')?.holder, 'ledger')
})
