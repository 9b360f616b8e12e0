import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findFreePort } from '../../deploy/local/ports.ts'
import { platformProcesses } from '../../deploy/local/processes.ts'
import { type Api, createApi, type Job, waitForJob } from '../demo/api.ts'
import { readDays } from '../demo/days.ts'
import { isAsItMustBe, judge } from '../demo/judge.ts'
import type { Delivery } from '../demo/receiver.ts'
import { runReference } from '../demo/run-reference.ts'
import { findMissingContainers } from '../support/container-engine.ts'
import { KAFKA_IMAGE, POSTGRES_IMAGE } from '../support/containers.ts'
import { until } from '../support/until.ts'
import { createCompose } from './compose.ts'

const BUILD_AND_START_MS = 1_200_000
const START_MS = 300_000
const RETURN_MS = 60_000
const WAITERS = 8

const skip = (await findMissingContainers([KAFKA_IMAGE, POSTGRES_IMAGE])) ?? false

const compose = createCompose(`weir-test-${process.pid}`, {
  WEIR_PORT: String(await findFreePort()),
  WEIR_KAFKA_PORT: String(await findFreePort()),
  WEIR_DEMO_RECEIVER: 'http://receiver:8080/',
  // What the shell says about tracing is not for this installation.
  WEIR_OTLP_URL: '',
})
const stages = platformProcesses.flatMap(({ name, stage }) => (stage ? [name] : []))
const stopped = new AbortController()
let operatorKey = ''
let base = ''
let api: Api

const submitHello = (values: readonly number[]): Promise<Job> =>
  api.call<Job>('POST', '/v1/pipelines/hello/jobs', { body: { input: { values } } })

async function publish(name: string): Promise<void> {
  const file = join(import.meta.dirname, `../../services/stages/pipelines/${name}.yaml`)
  const text = { type: 'application/yaml', body: readFileSync(file, 'utf8') }
  await api.call('PUT', `/v1/pipelines/${name}`, { text })
}

before(async () => {
  if (skip) return
  const up = ['up', '--detach', '--build', '--wait', '--wait-timeout', String(START_MS / 1_000)]
  await compose.compose(up, BUILD_AND_START_MS).catch(async (error) => {
    process.stderr.write(`${await compose.compose(['logs', '--no-color', '--tail', '20'])}\n`)
    throw error
  })
  base = await compose.address('control', 8080)
  operatorKey = await compose.compose([
    ...['exec', '-T', 'control', 'cat', '/secrets/control/operator-key'],
  ])
  const operator = createApi(base, operatorKey, stopped.signal)
  const { adminKey } = await operator.call<{ adminKey: string }>('POST', '/v1/tenants', {
    body: { name: 'containers' },
  })
  api = createApi(base, adminKey, stopped.signal)
  await publish('hello')
  await publish('delays')
})

after(async () => {
  stopped.abort()
  if (!skip) await compose.compose(['down', '--volumes', '--timeout', '5'], RETURN_MS * 3)
})

test('the smallest pipeline runs through containers, and fails as it must', { skip }, async () => {
  const good = await waitForJob(api, (await submitHello([1, 2, 3, 4, 5])).id)
  assert.deepEqual([good.status, good.result], ['completed', 0.5])
  const bad = await waitForJob(api, (await submitHello([5, 5, 5])).id)
  assert.deepEqual([bad.status, bad.error?.code], ['failed', 'constant_input'])
})

test('no container of ours can write its image, gain rights or run as root', { skip }, async () => {
  for (const service of ['control', 'dispatcher', 'ledger', ...stages]) {
    const [container] = await compose.inspect(service)
    assert.ok(container, service)
    const { User: user } = container.Config
    const { ReadonlyRootfs, CapDrop, SecurityOpt, Memory } = container.HostConfig
    assert.deepEqual(
      { user, ReadonlyRootfs, CapDrop, SecurityOpt, hasLimit: Memory > 0 },
      {
        user: '1000:1000',
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges:true'],
        hasLimit: true,
      },
      service,
    )
  }
})

test('secrets are in files of those who need them, never in an environment', { skip }, async () => {
  const list = (service: string) =>
    compose.compose(['exec', '-T', service, 'sh', '-c', 'cd /secrets && find . -type f | sort'])
  assert.deepEqual((await list('control')).split('\n'), [
    './control/master-key',
    './control/operator-key',
    './control/postgres-url',
  ])
  assert.deepEqual((await list('ledger')).split('\n'), [
    './ledger/ledger-key',
    './ledger/postgres-url',
  ])
  assert.deepEqual(
    (await list('mean')).split('\n'),
    [...stages].sort().map((name) => `./stages/${name}@1`),
  )
  const services = ['postgres', 'migrate', 'control', 'dispatcher', 'ledger', ...stages]
  const containers = await Promise.all(services.map(compose.inspect))
  const variables = containers.flat().flatMap(({ Config }) => Config.Env)
  const isSecret = (variable: string) => /KEY=|PASSWORD=|postgres:\/\/|weirkey_/.test(variable)
  assert.deepEqual(variables.filter(isSecret), [])
})

test('a stage finds no way to the database', { skip }, async () => {
  const program = `require('node:dns').lookup('postgres', (e) => console.log(e?.code ?? 'found'))`
  const lookUp = (service: string) =>
    compose.compose(['exec', '-T', service, 'node', '-e', program])
  assert.equal(await lookUp('control'), 'found')
  assert.match(await lookUp('mean'), /ENOTFOUND|EAI_AGAIN/)
})

test('a stage is scaled to three, and the days stay right while one of them is killed', {
  skip,
}, async () => {
  await compose.compose(
    ['up', '--detach', '--wait', '--no-recreate', '--scale', 'locate=3', 'locate'],
    START_MS,
  )
  assert.equal((await compose.idsOf('locate')).length, 3)
  const days = readDays()
  const { ids } = await api.call<{ ids: readonly string[] }>(
    'POST',
    '/v1/pipelines/delays/jobs/batch',
    { body: { jobs: days.map((input) => ({ input })) } },
  )
  const jobs: Job[] = []
  const waiting = [...ids]
  const wait = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift())
      jobs.push(await waitForJob(api, id))
  }
  const allEnded = Promise.all(Array.from({ length: WAITERS }, wait))
  await until('some days to be done', () => jobs.length >= 10, START_MS)
  assert.ok(jobs.length < days.length, 'all were done before one was killed')
  const [killed = ''] = await compose.idsOf('locate')
  await compose.run(['kill', killed])
  await allEnded

  const address = await compose.address('receiver', 8080)
  const deliveries = (await (await fetch(address)).json()) as Delivery[]
  const verdict = judge({ reference: await runReference(), jobs, deliveries })
  assert.ok(isAsItMustBe(verdict), JSON.stringify(verdict))
})

test('jobs accepted while the broker is away are done when it is back', { skip }, async () => {
  await compose.compose(['stop', 'kafka'], RETURN_MS * 2)
  const accepted: Job[] = []
  while (accepted.length < 10) accepted.push(await submitHello([1, 2, 3, 4, 5]))
  await compose.compose(['start', 'kafka'], RETURN_MS)
  for (const { id } of accepted) {
    const job = await waitForJob(api, id)
    assert.deepEqual([job.status, job.result], ['completed', 0.5], id)
  }
  for (const service of ['control', ...stages]) {
    const containers = await compose.inspect(service)
    assert.ok(
      containers.every(({ RestartCount }) => RestartCount === 0),
      `${service} did not outlive the broker's absence`,
    )
  }
})

test('a stopped container ends in order and by itself', { skip }, async () => {
  await compose.compose(['stop', 'normalise', 'dispatcher', 'ledger', 'control'], RETURN_MS * 2)
  for (const service of ['normalise', 'dispatcher', 'ledger', 'control']) {
    const [container] = await compose.inspect(service)
    assert.deepEqual(container?.State.ExitCode, 0, service)
  }
})

test('down with its volumes leaves nothing behind', { skip }, async () => {
  assert.notEqual((await compose.leftovers()).length, 0)
  await compose.compose(['down', '--volumes', '--timeout', '20'], RETURN_MS * 3)
  assert.deepEqual(await compose.leftovers(), [])
})
