import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createTopics } from '@weir/contracts'
import {
  connectKafka,
  createAdmin,
  createProducer,
  createReader,
  type KafkaConfig,
  KafkaError,
} from '@weir/kafka'
import { withClient } from '@weir/postgres'
import { createClient } from '../support/api-client.ts'
import { createAuthority } from '../support/certificates.ts'
import { type SecureSystem, startSecureSystem } from '../support/secure-system.ts'

// Everything at once as on managed services: TLS, logins and ACLs at the brokers, TLS and a role per
// service in the database.

const EDGES = ['normalise@1:mean@1', 'mean@1:']
const JOBS = 25
const topics = createTopics('weir')
const toNormalise = topics.input('normalise@1', 'normal')
const toMean = topics.input('mean@1', 'normal')
let system: SecureSystem

before(async () => {
  system = await startSecureSystem({ stages: ['normalise', 'mean'], edges: EDGES })
})
after(() => system?.stop())

const logOf = (name: string) => readFileSync(join(system.home, 'logs', `${name}.log`), 'utf8')

test('jobs run to their end, every process with its own login and no right beyond the table', async () => {
  const { adminKey } = await system.operator.call<{ adminKey: string }>('POST', '/v1/tenants', {
    body: { name: 'acme' },
  })
  const acme = createClient(system.api, adminKey)
  await acme.publish('hello', {
    steps: {
      normalise: { stage: 'normalise@1' },
      mean: { stage: 'mean@1', after: ['normalise'] },
    },
  })
  const inputs = Array.from({ length: JOBS }, () => ({ values: [1, 2, 3, 4, 5] }))
  const ended = await acme.allEnded(await acme.submitBatch('hello', inputs))
  assert.deepEqual(new Set(ended.map(({ status }) => status)), new Set(['completed']))
  for (const name of ['control', 'dispatcher', 'ledger', 'watchdog', 'normalise', 'mean'])
    assert.doesNotMatch(logOf(name), /AUTHORIZATION_FAILED|[Nn]ot authorized|unauthorized/, name)
})

test('every service is in the database under its own role, and under TLS', async () => {
  const tls = { rejectUnauthorized: true, ca: system.authority.ca } as const
  const { rows } = await withClient(
    system.postgres.adminUrl,
    (client) =>
      client.query(
        `select usename, bool_and(ssl) as ssl from pg_stat_activity join pg_stat_ssl using (pid)
          where datname = 'weir' group by usename order by usename`,
      ),
    { tls },
  )
  assert.deepEqual(
    rows,
    ['weir_control', 'weir_dispatcher', 'weir_ledger'].map((usename) => ({ usename, ssl: true })),
  )
})

test('the ACLs are made once, and printing them needs no broker', () => {
  const again = system.run('deploy/kafka/acls.ts', ['--apply', ...EDGES], {
    ...system.env('control'),
    WEIR_KAFKA_SASL_USERNAME: 'operator',
    WEIR_KAFKA_SASL_PASSWORD_FILE: join(system.home, 'files', 'operator.password'),
  })
  assert.equal(again.status, 0, again.err)
  assert.match(again.out, /^0 made, \d\d were there$/m)
  assert.equal(again.err, '')
  const printed = system.run('deploy/kafka/acls.ts', EDGES, {})
  const count = printed.out.trim().split('\n').length
  assert.ok(again.out.includes(`${count} were there`))
  const denied = system.run('deploy/kafka/acls.ts', ['--apply', ...EDGES], system.env('control'))
  assert.equal(denied.status, 1)
  assert.match(denied.err, /ACLs of User:/)
})

test('a stage with the login of another stage does not come up', async () => {
  const { WEIR_KAFKA_SASL_USERNAME, WEIR_KAFKA_SASL_PASSWORD_FILE } = system.env('mean')
  const ran = system.run('services/stages/normalise/src/main.ts', [], {
    ...system.env('normalise'),
    WEIR_KAFKA_SASL_USERNAME: WEIR_KAFKA_SASL_USERNAME as string,
    WEIR_KAFKA_SASL_PASSWORD_FILE: WEIR_KAFKA_SASL_PASSWORD_FILE as string,
    WEIR_STAGE_KEY: readFileSync(join(system.home, 'secrets', 'stage-normalise@1'), 'utf8').trim(),
  })
  assert.equal(ran.status, 1)
  assert.match(ran.out + ran.err, /Not authorized to access (?:group|topics)/)
})

test('a wrong connection is refused at once, and the error says what to change', async () => {
  const right = system.kafka.as('weir-ledger')
  const { ssl: _, sasl: __, ...plain } = right
  const wrong: [string, KafkaConfig, RegExp][] = [
    ['plain', plain, /set WEIR_KAFKA_TLS=true/],
    ['without TLS', { ...plain, sasl: right.sasl }, /set WEIR_KAFKA_TLS=true/],
    ['another authority', { ...right, ssl: { ca: createAuthority('another').ca } }, /_TLS_CA_FILE/],
    ['the system’s authorities', { ...right, ssl: true }, /WEIR_KAFKA_TLS_CA_FILE/],
    ['another name', { ...right, brokers: [`127.0.0.1:${system.kafka.port}`] }, /_SERVER_NAME/],
    [
      'a wrong password',
      {
        ...right,
        sasl: { mechanism: 'scram-sha-512', username: 'weir-ledger', password: 'wrong' },
      },
      /refuses the user "weir-ledger".*WEIR_KAFKA_SASL_PASSWORD/,
    ],
    [
      'plain with a wrong password',
      { ...right, sasl: { mechanism: 'plain', username: 'weir-ledger', password: 'wrong' } },
      /refuses the user "weir-ledger"/,
    ],
  ]
  for (const [what, config, sentence] of wrong) {
    const producer = createProducer({ kafka: connectKafka(config) })
    await assert.rejects(
      producer.connect(),
      (error) =>
        error instanceof KafkaError &&
        error.code === 'unauthorized' &&
        sentence.test(error.message),
      what,
    )
    await producer.disconnect()
  }
  const named = { ...right, brokers: [`127.0.0.1:${system.kafka.port}`] }
  const producer = createProducer({
    kafka: connectKafka({ ...named, ssl: { ca: system.authority.ca, servername: 'localhost' } }),
  })
  await producer.connect()
  await producer.disconnect()
})

test('a service with a wrong password ends and says so, without the password', () => {
  const ran = system.run('services/ledger/src/main.ts', [], {
    ...system.env('ledger'),
    WEIR_KAFKA_SASL_PASSWORD_FILE: '',
    WEIR_KAFKA_SASL_PASSWORD: 'not-the-password',
  })
  assert.equal(ran.status, 1)
  assert.match(ran.out + ran.err, /refuses the user/)
  assert.doesNotMatch(ran.out + ran.err, /not-the-password/)
})

test('topics are made with the copies that are asked for', () => {
  const ran = system.run('services/control/src/main.ts', [], {
    ...system.env('control', { WEIR_PREFIX: 'weir.copies', WEIR_HTTP_PORT: '0' }),
    WEIR_KAFKA_REPLICATION: '3',
    WEIR_KAFKA_MIN_IN_SYNC: '2',
  })
  assert.equal(ran.status, 1)
  assert.match(ran.out + ran.err, /[Rr]eplication-factor is invalid/)
  const odd = system.run('services/control/src/main.ts', [], {
    ...system.env('control', { WEIR_KAFKA_REPLICATION: '1', WEIR_KAFKA_MIN_IN_SYNC: '2' }),
  })
  assert.match(odd.out + odd.err, /must not be more than WEIR_KAFKA_REPLICATION/)
})

/** By hand, not from the table: who may read (r) and write (w) what. */
const MATRIX: Record<string, Record<string, string>> = {
  'weir-control': {
    [topics.changes]: 'rw',
    [topics.control]: 'w',
    [topics.registry]: 'r',
    [topics.gates]: 'r',
    [toNormalise]: 'r',
    [toMean]: 'r',
  },
  'weir-dispatcher': {
    [topics.changes]: 'r',
    [topics.control]: 'r',
    [topics.plans]: 'rw',
    [topics.registry]: 'w',
    [topics.gates]: 'r',
    [toNormalise]: 'w',
    [toMean]: 'w',
  },
  'weir-ledger': {
    [topics.events]: 'r',
    [topics.registry]: 'r',
    [topics.control]: 'w',
    [topics.changes]: 'rw',
  },
  'weir-watchdog': {
    [topics.watchdog]: 'rw',
    [topics.gates]: 'rw',
    [topics.control]: 'r',
    [topics.registry]: 'r',
    [toNormalise]: 'r',
    [toMean]: 'r',
  },
  'weir-stage-normalise-1': {
    [topics.events]: 'w',
    [topics.registry]: 'w',
    [topics.deadLetters]: 'w',
    [topics.control]: 'r',
    [topics.plans]: 'r',
    [toNormalise]: 'rw',
    [toMean]: 'w',
  },
  'weir-stage-mean-1': {
    [topics.events]: 'w',
    [topics.registry]: 'w',
    [topics.deadLetters]: 'w',
    [topics.control]: 'r',
    [topics.plans]: 'r',
    [toMean]: 'rw',
  },
}
const ALL = [...topics.platformSpecs(1).map(({ topic }) => topic), toNormalise, toMean]

const isRefused = (error: unknown): boolean => {
  if (error instanceof KafkaError && error.code === 'unauthorized') return true
  throw error
}

test('nobody reads or writes a topic that is not theirs, and only control makes topics', async () => {
  await system.stopProcesses()
  const seen: typeof MATRIX = {}
  for (const user of Object.keys(MATRIX)) {
    const kafka = connectKafka(system.kafka.as(user))
    const admin = createAdmin({ kafka })
    const rights = await Promise.all(
      ALL.map(async (topic) => {
        // One for each topic: a refused topic also fails what is asked together with it.
        const producer = createProducer({ kafka })
        const reader = createReader({ kafka, topics: [topic], from: 'latest', onRecords() {} })
        const mayWrite = await producer.send([{ topic, partition: 0, key: 'k', value: 'v' }]).then(
          () => true,
          (error) => !isRefused(error),
        )
        const mayRead = await reader.caughtUp.then(
          () => true,
          (error) => !isRefused(error),
        )
        await Promise.all([reader.stop(), producer.disconnect()])
        return [topic, `${mayRead ? 'r' : ''}${mayWrite ? 'w' : ''}`] as const
      }),
    )
    seen[user] = Object.fromEntries(rights.filter(([, may]) => may !== ''))
    const made = admin.createTopics([{ topic: `weir.made-by.${user}`, partitions: 1 }])
    if (user === 'weir-control') await made
    else await assert.rejects(made, isRefused, user)
    await assert.rejects(admin.createTopics([{ topic: `other.${user}`, partitions: 1 }]), isRefused)
    await admin.disconnect()
  }
  assert.deepEqual(seen, MATRIX)
})
