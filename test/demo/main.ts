/**
 * The demo: starts Weir, runs ninety days of flights through the pipeline `delays` as ninety jobs,
 * compares each result with that of an independent program, and stops Weir. Ends with 0 only if
 * every line is equal and every day was published once.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Api, createApi, type Job, waitForJob } from './api.ts'
import { readDays } from './days.ts'
import { startWeir, stopWeir } from './installation.ts'
import { isAsItMustBe, judge } from './judge.ts'
import { type Receiver, startReceiver } from './receiver.ts'
import { runReference } from './run-reference.ts'
import { formatStages } from './stage-table.ts'

const WAITERS = 8

const stop = new AbortController()
const onSignal = () => stop.abort(new Error('stopped by a signal'))
process.on('SIGINT', onSignal).on('SIGTERM', onSignal)

const say = (line: string): void => {
  process.stderr.write(`demo: ${line}\n`)
}

async function createTenant(base: string, operatorKey: string): Promise<Api> {
  const operator = createApi(base, operatorKey, stop.signal)
  const name = `demo-${Date.now()}`
  const { adminKey } = await operator.call<{ adminKey: string }>('POST', '/v1/tenants', {
    body: { name },
  })
  const admin = createApi(base, adminKey, stop.signal)
  const { key } = await admin.call<{ key: string }>('POST', '/v1/keys', {
    body: { name: 'demo', role: 'developer' },
  })
  return createApi(base, key, stop.signal)
}

async function publishPipeline(api: Api, name: string): Promise<void> {
  const file = join(import.meta.dirname, `../../services/stages/pipelines/${name}.yaml`)
  const text = { type: 'application/yaml', body: readFileSync(file, 'utf8') }
  await api.call('PUT', `/v1/pipelines/${name}`, { text })
}

/** The two smallest examples: one that ends well, one that must fail and say why. */
async function sayHello(api: Api): Promise<boolean> {
  const submit = async (values: readonly number[]) => {
    const body = { input: { values } }
    const { id } = await api.call<Job>('POST', '/v1/pipelines/hello/jobs', { body })
    return waitForJob(api, id)
  }
  const good = await submit([1, 2, 3, 4, 5])
  const bad = await submit([5, 5, 5])
  const isGood = good.status === 'completed' && good.result === 0.5
  const isBad = bad.status === 'failed' && bad.error?.code === 'constant_input'
  console.log(`hello [1,2,3,4,5]: ${good.status} ${JSON.stringify(good.result)}`)
  console.log(`hello [5,5,5]:     ${bad.status} ${JSON.stringify(bad.error)}`)
  return isGood && isBad && bad.error?.step === 'normalise'
}

/** All days in one batch; resolves when every job has ended. */
async function runDays(api: Api): Promise<readonly Job[]> {
  const jobs = readDays().map((day) => ({ input: day, tags: { date: day.date } }))
  const startedAt = performance.now()
  const { ids } = await api.call<{ ids: readonly string[] }>(
    'POST',
    '/v1/pipelines/delays/jobs/batch',
    { body: { jobs } },
  )
  say(`${ids.length} jobs are accepted`)
  const ended: Job[] = []
  const waiting = [...ids]
  const wait = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      ended.push(await waitForJob(api, id))
      if (ended.length % 10 === 0) say(`${ended.length} of ${ids.length} jobs have ended`)
    }
  }
  await Promise.all(Array.from({ length: WAITERS }, wait))
  const seconds = (performance.now() - startedAt) / 1_000
  say(`all have ended, ${seconds.toFixed(1)} s after they were submitted`)
  return ended
}

async function runDemo(receiver: Receiver): Promise<boolean> {
  say('starting Weir')
  const { api: base, operatorKey } = await startWeir(receiver.url, stop.signal)
  stop.signal.throwIfAborted()
  const api = await createTenant(base, operatorKey)
  await publishPipeline(api, 'hello')
  await publishPipeline(api, 'delays')
  const isHelloRight = await sayHello(api)
  const jobs = await runDays(api)
  const deliveries = [...receiver.deliveries.values()]
  const verdict = judge({ reference: await runReference(), jobs, deliveries })

  console.log(`\n${formatStages(jobs)}\n`)
  console.log(`lines equal to the reference: ${verdict.sameLines} of ${verdict.days}`)
  console.log(`lines that differ:            ${verdict.differentLines}`)
  console.log(`days lost:                    ${verdict.lost}`)
  console.log(`days duplicated:              ${verdict.duplicated}`)
  console.log(`days published twice:         ${verdict.publishedTwice}`)
  console.log(`days not published:           ${verdict.notPublished}`)
  const repeated = deliveries.reduce((sum, { count }) => sum + count - 1, 0)
  console.log(`posts repeated under a key:   ${repeated} (the receiver counts them once)`)
  for (const { id, error } of jobs.filter(({ status }) => status !== 'completed').slice(0, 3)) {
    console.log(`job ${id}: ${JSON.stringify(error)}`)
  }
  return isHelloRight && isAsItMustBe(verdict)
}

const receiver = await startReceiver()
process.exitCode = 1
try {
  const isRight = await runDemo(receiver)
  console.log(isRight ? '\nall as it must be' : '\nNOT as it must be')
  if (isRight) process.exitCode = 0
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
} finally {
  say('stopping Weir')
  await stopWeir().catch((error: unknown) => {
    say(String(error))
    process.exitCode = 1
  })
  await receiver.close()
}
