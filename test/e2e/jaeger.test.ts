import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { act } from '../support/act-step.ts'
import type { Client, Job } from '../support/api-client.ts'
import { findTestJaeger, type JaegerSource, startJaeger } from '../support/jaeger.ts'
import { compareWithPage } from '../support/span-catalogue.ts'
import { startSystem } from '../support/system.ts'
import {
  checkDoomedTree,
  checkTracedTree,
  publishTraced,
  TRACED_SPANS,
  tracedInput,
  tracedStages,
} from '../support/traced-job.ts'
import { until } from '../support/until.ts'

const RUNS = 1_000
const AT_ONCE = 50
const RUNS_IN_OUTAGE = 200
/** Spans reach Jaeger by batches, a second apart in each process. */
const ARRIVE_MS = 60_000
/** What a full queue of spans may cost a process, several times over. */
const GROWTH_MAX_BYTES = 256 * 1024 * 1024

const source = await findTestJaeger()
if ('missing' in source) {
  process.stderr.write(`test: SKIPPED, spans are not watched in a real Jaeger: ${source.missing}\n`)
  test('spans are watched in a real Jaeger', { skip: source.missing }, () => {})
} else await suite(source)

async function suite(source: JaegerSource): Promise<void> {
  const jaeger = await startJaeger(source)
  after(() => jaeger.stop())
  const { api } = jaeger
  const system = await startSystem({
    stages: tracedStages,
    env: { WEIR_OTLP_URL: jaeger.otlpUrl, WEIR_JAEGER_URL: api.url },
  })
  after(() => system.stop())
  const { client, id: tenant } = await system.tenant('jaeger')
  const { topics, operator } = system
  await publishTraced(client)
  await client.publish('doomed', { steps: { only: act('fail') } })

  const traceOf = (traceId: string | null, count: number) =>
    until(
      `${count} spans of trace ${traceId} in Jaeger`,
      async () => {
        const spans = await api.trace(traceId ?? '')
        return spans.length >= count ? spans : false
      },
      ARRIVE_MS,
    )
  const checkWhole = async (job: Job) => {
    assert.equal(job.status, 'completed')
    const spans = await traceOf(job.traceId, TRACED_SPANS)
    checkTracedTree(spans, { job, tenant, topics })
    return spans
  }
  const runTraced = (correlationId: string) => client.run('traced', tracedInput, { correlationId })

  test('a run is one whole tree in Jaeger, and is found by its job and by its correlation id', async () => {
    const jobs = [await runTraced('shipment-17'), await runTraced('shipment-17')]
    for (const job of jobs) {
      const spans = await checkWhole(job)
      assert.deepEqual(compareWithPage(spans).undocumented, [])
      const attributes = { 'weir.job.id': job.id }
      const found = await api.search({ service: 'dispatcher', attributes })
      assert.deepEqual(found, [job.traceId])
    }
    const related = await api.search({
      service: 'stage-act',
      attributes: { 'messaging.message.conversation_id': 'shipment-17' },
    })
    assert.deepEqual(related, jobs.map(({ traceId }) => traceId).sort())
  })

  test('a failed job shows where it failed, and is found among the errors', async () => {
    const job = await client.run('doomed', 'x', { correlationId: 'doomed-1' })
    assert.equal(job.status, 'failed')
    const spans = await traceOf(job.traceId, 5)
    checkDoomedTree(spans, { job, tenant, topics })
    assert.deepEqual(compareWithPage(spans).undocumented, [])
    const attributes = { 'weir.job.id': job.id, 'error.type': 'broken' }
    assert.deepEqual(await api.search({ service: 'stage-act', attributes }), [job.traceId])
    assert.deepEqual(await api.search({ service: 'dispatcher', attributes }), [])
  })

  test('jobs are found by the kind of their stages', async () => {
    const job = await runTraced('routed')
    await checkWhole(job)
    const kinds = ['route', 'guard'].map((kind) =>
      api.search({
        service: 'stage-route',
        attributes: { 'weir.job.id': job.id, 'weir.stage.kind': kind },
      }),
    )
    assert.deepEqual(await Promise.all(kinds), [[job.traceId], []])
  })

  test('services, operations and the map of services are those of the pipeline', async () => {
    const services = (await api.services()).filter((name) => name !== 'jaeger')
    const own = ['control', 'dispatcher', 'ledger', 'stage-act', 'stage-other', 'stage-route']
    assert.deepEqual([...services].sort(), own)
    const operations = await api.operations('stage-other')
    assert.deepEqual(
      operations.map(({ name, spanKind }) => [name, spanKind.toLowerCase()]).sort(),
      [
        [`process ${topics.input('other@1', 'normal')}`, 'consumer'],
        [`send ${topics.input('act@1', 'normal')}`, 'producer'],
      ],
    )
    const edges = (await api.dependencies())
      .filter(({ parent, child }) => parent !== child && parent !== 'jaeger')
      .map(({ parent, child }) => `${parent} → ${child}`)
    assert.deepEqual(edges.sort(), [
      'control → dispatcher',
      'dispatcher → stage-act',
      'dispatcher → stage-other',
      'dispatcher → stage-route',
      'stage-act → ledger',
      'stage-act → stage-other',
      'stage-other → stage-act',
      'stage-route → stage-act',
    ])
  })

  test('the link of a job opens its whole trace, for operators', async () => {
    type Linked = Job & { readonly links: { readonly trace?: string } }
    const job = await runTraced('linked')
    await checkWhole(job)
    const headers = { 'x-weir-tenant': tenant, 'x-weir-reason': 'to look at its trace' }
    const { links } = await operator.call<Linked>('GET', `/v1/jobs/${job.id}`, { headers })
    assert.equal(links.trace, `${api.url}/trace/${job.traceId}`)
    assert.equal((await fetch(links.trace ?? '')).status, 200)
    const shown = await api.trace(links.trace?.split('/').at(-1) ?? '')
    checkTracedTree(shown, { job, tenant, topics })

    const own = await client.get<Linked>(`/v1/jobs/${job.id}`)
    assert.equal(own.links.trace, undefined)
    const asOperator = ['--tenant', tenant, '--reason', 'to look at its trace']
    const head = (text: string) => text.split('\n').slice(0, 2)
    assert.deepEqual(head(await weirTrace(operator, job.id, asOperator)), [
      `trace  ${job.traceId}`,
      `link   ${links.trace}`,
    ])
    const [first, second] = head(await weirTrace(client, job.id))
    assert.equal(first, `trace  ${job.traceId}`)
    assert.match(second ?? '', /^job /)
  })

  test(`${RUNS} runs, ${AT_ONCE} at a time: each is one trace, without an orphan, without another’s span`, async () => {
    const jobs: Job[] = []
    let next = 0
    const work = async () => {
      for (let n = next++; n < RUNS; n = next++) jobs[n] = await runTraced(`many-${n}`)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    assert.equal(new Set(jobs.map(({ traceId }) => traceId)).size, RUNS)
    let checked = 0
    const check = async () => {
      for (let n = checked++; n < RUNS; n = checked++) await checkWhole(jobs[n] as Job)
    }
    await Promise.all(Array.from({ length: 4 }, check))
  })

  test('a collector that is away fails no run, holds no memory, and what is lost is counted', async () => {
    const names = ['control', 'dispatcher', 'ledger', 'act', 'other', 'route']
    const before = await lostSpans(names)
    const memory = names.map(rssOf)
    await jaeger.kill()
    const jobs: Job[] = []
    let next = 0
    const work = async () => {
      for (let n = next++; n < RUNS_IN_OUTAGE; n = next++) jobs[n] = await runTraced(`away-${n}`)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    assert.deepEqual(
      jobs.filter(({ status }) => status !== 'completed'),
      [],
    )
    const hasLost = async () => (await lostSpans(names)) > before
    await until('spans to be given up', hasLost, ARRIVE_MS)
    for (const [index, name] of names.entries()) {
      const grown = rssOf(name) - (memory[index] as number)
      assert.ok(grown < GROWTH_MAX_BYTES, `${name} has grown by ${grown} bytes`)
    }
    await jaeger.start()
    await checkWhole(await runTraced('back-again'))
    const found = await countSpans(jobs)
    const lost = (await lostSpans(names)) - before
    assert.ok(lost >= RUNS_IN_OUTAGE * TRACED_SPANS - found, `${lost} lost, ${found} found`)
  })

  const rssOf = (name: string): number => {
    const status = readFileSync(`/proc/${system.pid(name)}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024
  }

  /** Spans that processes have dropped or could not export. */
  const lostSpans = async (names: readonly string[]): Promise<number> => {
    const texts = await Promise.all(
      names.map(async (name) => (await fetch(`${system.run.urls[name]}/metrics`)).text()),
    )
    const counts = texts.flatMap((text) => [
      ...text.matchAll(/^weir_telemetry_dropped_total\{[^}]*signal="traces"[^}]*\} (\d+)/gm),
    ])
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }

  const countSpans = async (jobs: readonly Job[]): Promise<number> => {
    let count = 0
    for (const { traceId } of jobs) count += (await api.trace(traceId ?? '')).length
    return count
  }
}

/** What the command says of a job's trace. */
async function weirTrace(
  { base, key }: Client,
  id: string,
  options: readonly string[] = [],
): Promise<string> {
  const weir = join(repositoryDir, 'libs/cli/bin/weir.js')
  const env = { PATH: process.env.PATH, HOME: '/nowhere', WEIR_API: base, WEIR_KEY: key }
  const args = [weir, 'trace', id, ...options]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env })
  return stdout
}
