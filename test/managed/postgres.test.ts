import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { checkRole, createPool, LOGIN_ROLES, query, withClient, withDatabase } from '@weir/postgres'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { createAuthority } from '../support/certificates.ts'
import { type SecurePostgres, startSecurePostgres } from '../support/secure-postgres.ts'

// A Postgres as a managed one is: TLS only, passwords by SCRAM, and an admin who is no superuser.

const home = mkdtempSync(join(tmpdir(), 'weir-managed-'))
const authority = createAuthority('the authority of the database')
const tls = { rejectUnauthorized: true, ca: authority.ca } as const
const adminPassword = 'managed-admin-password'
let server: SecurePostgres

before(async () => {
  writeFileSync(join(home, 'ca.pem'), authority.ca)
  server = await startSecurePostgres({ home, authority })
  await withClient(
    server.adminUrl,
    (client) =>
      client.query(`create role master login createrole createdb password '${adminPassword}'`),
    { tls },
  )
})
after(async () => {
  await server?.stop()
  rmSync(home, { recursive: true, force: true })
})

const as = (role: string, password: string, database: string): string => {
  const url = new URL(withDatabase(server.adminUrl, database))
  url.username = role
  url.password = password
  return url.href
}

const connect = (url: string, how: Parameters<typeof withClient>[2] = { tls }) =>
  withClient(url, async (client) => (await client.query('select 1 as one')).rows[0].one, how)

test('a connection is made under TLS to whom the certificate is for, and to nobody else', async () => {
  const byNumber = server.adminUrl.replace('localhost', '127.0.0.1')
  assert.equal(await connect(server.adminUrl), 1)
  assert.equal(await connect(byNumber, { tls: { ...tls, servername: 'localhost' } }), 1)
  const elsewhere = { tls: { ...tls, servername: 'elsewhere.example' } }
  const other = { rejectUnauthorized: true, ca: createAuthority('another').ca } as const
  const refused: [string, () => Promise<unknown>, RegExp][] = [
    [
      'plain',
      () => connect(server.adminUrl, {}),
      /takes no connection without TLS.*WEIR_POSTGRES_TLS/,
    ],
    [
      'another name',
      () => connect(byNumber, elsewhere),
      /another name.*WEIR_POSTGRES_TLS_SERVER_NAME/,
    ],
    [
      'another authority',
      () => connect(server.adminUrl, { tls: other }),
      /WEIR_POSTGRES_TLS_CA_FILE/,
    ],
    [
      'no authority',
      () => connect(server.adminUrl, { tls: { rejectUnauthorized: true } }),
      /_TLS_CA_/,
    ],
    [
      'wrong password',
      () => connect(as('postgres', 'no', 'postgres')),
      /refuses the login.*password/,
    ],
    ['no database', () => connect(withDatabase(server.adminUrl, 'none')), /run the migrations/],
  ]
  for (const [what, attempt, sentence] of refused) await assert.rejects(attempt, sentence, what)
})

test('NODE_TLS_REJECT_UNAUTHORIZED does not switch the check off', async () => {
  const script = `
    import { withClient } from '@weir/postgres'
    await withClient(process.env.URL, (c) => c.query('select 1'), { tls: { rejectUnauthorized: true } })`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: join(repositoryDir, 'services/ledger'),
    encoding: 'utf8',
    env: { PATH: process.env.PATH, URL: server.adminUrl, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
  })
  assert.notEqual(status, 0)
  assert.match(stderr, /not from an authority that is known here/)
})

/** The migrations as a deployment runs them: addresses and passwords from files. */
function migrate(adminUrl: string, database: string) {
  const file = (name: string, content: string) => {
    writeFileSync(join(home, name), content, { mode: 0o600 })
    return join(home, name)
  }
  const passwords = Object.entries(LOGIN_ROLES).map(([role, variable]) => [
    `${variable}_FILE`,
    file(role, `password-of-${role}\n`),
  ])
  return spawnSync(process.execPath, [join(repositoryDir, 'deploy/migrate.ts')], {
    encoding: 'utf8',
    env: {
      PATH: process.env.PATH,
      WEIR_POSTGRES_ADMIN_URL_FILE: file('admin-url', adminUrl),
      WEIR_POSTGRES_TLS_CA_FILE: join(home, 'ca.pem'),
      WEIR_DATABASE: database,
      ...Object.fromEntries(passwords),
    },
  })
}

test('an admin who is no superuser sets everything up, and what that leaves open is told', async () => {
  const admin = as('master', adminPassword, 'postgres')
  const first = migrate(admin, 'managed')
  assert.equal(first.status, 0, first.stderr)
  assert.match(first.stdout, /the admin is no superuser.*WEIR_POSTGRES_MANAGED=true/)
  const again = migrate(admin, 'managed')
  assert.equal(again.status, 0, again.stderr)

  const pool = createPool({
    url: as('weir_control', 'password-of-weir_control', 'managed'),
    tls,
    max: 1,
    applicationName: 'managed-test',
  })
  try {
    await assert.rejects(checkRole(pool, 'weir_control'), /may call set_config/)
    let told: readonly string[] = []
    await checkRole(pool, 'weir_control', {
      onMayCall: (functions) => {
        told = functions
      },
    })
    assert.ok(told.some((name) => name.startsWith('set_config(')))
    const [row] = await query<{ ssl: boolean; version: string }>(pool, {
      text: 'select ssl, version from pg_stat_ssl where pid = pg_backend_pid()',
    })
    assert.deepEqual(row, { ssl: true, version: 'TLSv1.3' })
  } finally {
    await pool.end()
  }
})

test('the migrations say what is wrong with the connection, and never the password', () => {
  const { status, stderr } = migrate(as('master', 'wrong-password', 'postgres'), 'managed')
  assert.equal(status, 1)
  assert.match(stderr, /the database refuses the login/)
  assert.doesNotMatch(stderr, /wrong-password/)
})
