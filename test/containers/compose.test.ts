import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { platformProcesses } from '../../deploy/local/processes.ts'
import { readDays } from '../demo/days.ts'
import { isAsItMustBe, judge } from '../demo/judge.ts'
import type { Delivery } from '../demo/receiver.ts'
import { runReference } from '../demo/run-reference.ts'
import type { Job } from '../support/api-client.ts'
import { treeOf } from '../support/span-tree.ts'
import { until } from '../support/until.ts'
import type { Compose } from './compose.ts'
import { type Installation, skip, skipJaeger, startInstallation } from './installation.ts'
import { readTrace } from './jaeger.ts'

type Image = {
  readonly Size: number
  readonly Config: {
    readonly User: string
    readonly Entrypoint: readonly string[]
    readonly Healthcheck: { readonly Test: readonly string[] }
    readonly Labels: Readonly<Record<string, string>>
  }
}

/** Beyond the base image; the data of the demo are the largest part of it. */
const ADDED_MAX_BYTES = 130e6
const JOB_MS = 120_000
const DAYS_MS = 600_000
const STOP_MS = 120_000

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
const platform = platformProcesses.flatMap(({ name, stage }) => (stage ? [] : [name]))
const stages = platformProcesses.flatMap(({ name, stage }) => (stage ? [name] : []))

let installation: Installation
let compose: Compose

before(async () => {
  if (skip) return
  installation = await startInstallation({ files: ['test/containers/no-shell.yml'] })
  compose = installation.compose
})

after(() => installation?.stop())

async function runHello(values: readonly number[]): Promise<Job> {
  const { client } = installation
  const { id } = await client.submit('hello', { values })
  return client.ended(id, JOB_MS)
}

/** What a program of Node prints in a container; there is no shell. */
const runIn = (service: string, program: string) =>
  compose.compose(['exec', '-T', service, 'node', '-e', program])

test('the smallest pipeline runs through containers, and fails as it must', { skip }, async () => {
  const good = await runHello([1, 2, 3, 4, 5])
  assert.deepEqual([good.status, good.result], ['completed', 0.5])
  const bad = await runHello([5, 5, 5])
  assert.deepEqual([bad.status, bad.error?.code], ['failed', 'constant_input'])
})

test('no container of ours can write its image, gain rights or run as root', { skip }, async () => {
  for (const service of [...platform, ...stages]) {
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

test('images are small, say what they are, and hold nothing of the workshop', {
  skip,
}, async () => {
  const names = ['weir-platform', ...stages.map((name) => `weir-stage-${name}`)]
  const inspected = await compose.run([
    ...['image', 'inspect', 'node:24-bookworm-slim'],
    ...names.map((name) => `${name}:${version}`),
  ])
  const [base, ...images] = JSON.parse(inspected) as [Image, ...Image[]]
  for (const [index, { Size, Config: config }] of images.entries()) {
    const name = names[index] as string
    assert.ok(Size - base.Size < ADDED_MAX_BYTES, `${name} adds ${Size - base.Size} bytes`)
    assert.equal(config.User, '1000:1000', name)
    assert.equal(config.Entrypoint[0], 'node', name)
    assert.deepEqual(config.Healthcheck.Test.slice(0, 2), ['CMD', 'node'], name)
    const label = (of: string) => config.Labels[`org.opencontainers.image.${of}`]
    assert.deepEqual(
      [label('title'), label('version'), label('licenses')],
      [name, version, 'Apache-2.0'],
    )
    assert.ok(label('description') && label('revision'), name)
  }
  const installed = async (service: string) =>
    (
      await runIn(
        service,
        `console.log(require('node:fs').readdirSync('/app/node_modules').join())`,
      )
    ).split(',')
  for (const service of ['control', 'mean'])
    for (const tool of ['typescript', '@biomejs', 'testcontainers', 'vega-datasets'])
      assert.ok(!(await installed(service)).includes(tool), `${service} has ${tool}`)
  assert.ok((await installed('control')).includes('pg'))
  assert.ok(!(await installed('mean')).includes('pg'))
})

test('secrets are in files of those who need them, never in an environment', { skip }, async () => {
  const program = `
    const files = require('node:fs').readdirSync('/secrets', { recursive: true, withFileTypes: true })
    console.log(files.filter((f) => f.isFile()).map((f) => f.parentPath + '/' + f.name).sort().join())`
  const list = async (service: string) => (await runIn(service, program)).split(',')
  assert.deepEqual(await list('control'), [
    '/secrets/control/master-key',
    '/secrets/control/operator-key',
    '/secrets/control/postgres-url',
  ])
  assert.deepEqual(await list('ledger'), [
    '/secrets/ledger/ledger-key',
    '/secrets/ledger/postgres-url',
  ])
  assert.deepEqual(
    await list('mean'),
    stages.toSorted().map((name) => `/secrets/stages/${name}@1`),
  )
  const services = ['postgres', 'migrate', ...platform, ...stages]
  const containers = await Promise.all(services.map(compose.inspect))
  const variables = containers.flat().flatMap(({ Config }) => Config.Env)
  const isSecret = (variable: string) => /KEY=|PASSWORD=|postgres:\/\/|weirkey_/.test(variable)
  assert.deepEqual(variables.filter(isSecret), [])
})

test('a stage finds no way to the database', { skip }, async () => {
  const program = `require('node:dns').lookup('postgres', (e) => console.log(e?.code ?? 'found'))`
  assert.equal(await runIn('control', program), 'found')
  assert.match(await runIn('mean', program), /ENOTFOUND|EAI_AGAIN/)
})

test('a job is one whole trace in Jaeger, and its operator is led there', {
  skip: skipJaeger,
}, async () => {
  const { client, operator } = installation
  const { id, traceId } = await runHello([1, 2, 3, 4, 5])
  const jaeger = await compose.address('jaeger', 16686)
  // The request, a send and a task for each of two steps, the ledger.
  const spans = await until(
    'the spans of the job',
    async () => {
      const found = await readTrace(jaeger, traceId ?? '')
      return found.length >= 6 && found
    },
    JOB_MS,
  )
  treeOf(spans)
  assert.deepEqual([...new Set(spans.map(({ service }) => service))].sort(), [
    'control',
    'dispatcher',
    'ledger',
    'stage-mean',
    'stage-normalise',
  ])
  const { tenant } = await client.get<{ tenant: { id: string } }>('/v1/whoami')
  const headers = { 'x-weir-tenant': tenant.id, 'x-weir-reason': 'looking at its trace' }
  const { links } = await operator.call<{ links: { trace: string } }>('GET', `/v1/jobs/${id}`, {
    headers,
  })
  assert.ok(links.trace.startsWith(`${jaeger}/trace/${traceId}`), links.trace)
})

test('the days of the demo come out as an independent program says', { skip }, async () => {
  const { client } = installation
  const ids = await client.submitBatch('delays', readDays())
  const jobs = await client.allEnded(ids, DAYS_MS)
  const address = await compose.address('receiver', 8080)
  const deliveries = (await (await fetch(address)).json()) as Delivery[]
  const verdict = judge({ reference: await runReference(), jobs, deliveries })
  assert.ok(isAsItMustBe(verdict), JSON.stringify(verdict))
})

test('jobs accepted while the broker is away are done when it is back', { skip }, async () => {
  const { client } = installation
  await compose.compose(['stop', 'kafka'], STOP_MS)
  const ids: string[] = []
  while (ids.length < 10) ids.push((await client.submit('hello', { values: [1, 2, 3, 4, 5] })).id)
  await compose.compose(['start', 'kafka'], STOP_MS)
  for (const job of await client.allEnded(ids, JOB_MS))
    assert.deepEqual([job.status, job.result], ['completed', 0.5], job.id)
  for (const service of ['control', ...stages]) {
    const containers = await compose.inspect(service)
    assert.ok(
      containers.every(({ RestartCount }) => RestartCount === 0),
      `${service} did not outlive the broker's absence`,
    )
  }
})

test('a stopped container ends in order and by itself', { skip }, async () => {
  const services = ['normalise', ...platform]
  await compose.compose(['stop', ...services], STOP_MS)
  for (const service of services) {
    const [container] = await compose.inspect(service)
    assert.deepEqual(container?.State.ExitCode, 0, service)
  }
})

test('down with its volumes leaves nothing behind', { skip }, async () => {
  assert.notEqual((await compose.leftovers()).length, 0)
  await compose.compose(['down', '--volumes', '--timeout', '20'], STOP_MS)
  assert.deepEqual(await compose.leftovers(), [])
})
