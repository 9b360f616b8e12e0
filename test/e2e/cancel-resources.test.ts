import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { ensureInstallationSecrets } from '../../deploy/local/installation-secrets.ts'
import { writeRoleUrl } from '../../deploy/local/process-env.ts'
import { act } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import { type Noted, readNoted } from '../support/noted.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Jobs, of which most are cancelled at any moment of their life; 200 is the full size. */
const RUNS = Number(process.env.WEIR_CANCEL_RUNS || 48)
const SEED = Number(process.env.WEIR_CANCEL_SEED || 7)
/** Every so many is left alone. */
const SPARED = 6
const END_MS = 60_000

const system = await startSystem({ stages: [{ name: 'act' }, { name: 'hold' }] })
after(() => system.stop())
const { client, id: tenant } = await system.tenant('holding')
// So that some of the jobs are still queued when they are cancelled.
await system.operator.call('PUT', '/v1/stages/hold@1', { body: { inFlightMax: 30 } })

const log = system.file('hold.log')
const dir = system.file('held')
mkdirSync(dir)
let streams = 0
const server = createServer((_request, response) => {
  streams += 1
  response.once('close', () => {
    streams -= 1
  })
  response.write('it goes on')
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
after(() => {
  server.closeAllConnections()
  server.close()
})

/** The same numbers for the same seed (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
const random = createRandom(SEED)

const { passwords } = ensureInstallationSecrets(system.home)
const config = {
  log,
  dir,
  stream: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
  postgres: writeRoleUrl(system.run.postgres ?? '', 'weir_control', passwords.control),
  ms: 250,
}
const retry = { attempts: 3, baseMs: 100, backoff: 'constant', jitter: 'none' } as const
const hold = (name: string, more: object = {}) => ({
  stage: 'hold@1',
  after: [name],
  retry,
  config: { ...config, ...more },
})
await client.publish('holding', {
  steps: {
    split: act('range', { config: { n: 3 } }),
    first: { ...hold('split', { isFlaky: true }), after: [{ step: 'split', each: true }] },
    second: hold('first'),
    all: act('count', { after: [{ step: 'second', gather: true }] }),
    last: hold('all'),
  },
})

type Cancelled = { readonly id: string; readonly status: number; readonly tookMs: number }

async function cancelAt(id: string, afterMs: number): Promise<Cancelled> {
  await pause(afterMs)
  const start = performance.now()
  const { status } = await client.send('POST', `/v1/jobs/${id}/cancel`, { body: {} })
  return { id, status, tookMs: performance.now() - start }
}

const spared: string[] = []
const cancelled: Cancelled[] = []

test('jobs that are cancelled at any moment end cancelled, all others as if nothing had been', async (t) => {
  const cancels: Promise<Cancelled>[] = []
  for (let at = 0; at < RUNS; at += 1) {
    const { id } = await client.submit('holding', at)
    if (at % SPARED === 0) spared.push(id)
    else cancels.push(cancelAt(id, random() * 3_000))
    // In the middle the partitions move to a second instance, and back when it drains.
    if (at === Math.floor(RUNS / 3)) await system.start({ name: 'hold.2', file: 'hold' })
    if (at === Math.floor((2 * RUNS) / 3)) await system.stopStage('hold.2')
  }
  cancelled.push(...(await Promise.all(cancels)))
  const jobs = await client.allEnded(
    cancelled.map(({ id }) => id),
    END_MS,
  )
  for (const [at, { id, status }] of cancelled.entries()) {
    const expected = status === 202 ? 'cancelled' : 'completed'
    assert.equal(jobs[at]?.status, expected, `${id} was answered ${status}`)
  }
  for (const job of await client.allEnded(spared, END_MS)) {
    assert.equal(job.status, 'completed')
    assert.equal((job.steps.all?.output as { items?: number } | undefined)?.items, 3)
  }
  const ended = jobs.filter(({ status }) => status === 'cancelled')
  assert.ok(ended.length > cancelled.length / 2, `${ended.length} were cancelled`)
  t.diagnostic(`answered within ${quantiles(cancelled.map(({ tookMs }) => tookMs))}`)
  t.diagnostic(`ended within ${quantiles(ended.map(endedAfterMs))} of the request`)
})

const endedAfterMs = (job: Job) =>
  Date.parse(job.finishedAt ?? '') - Date.parse(job.cancel?.requestedAt ?? '')

function quantiles(values: readonly number[]): string {
  const sorted = values.toSorted((one, other) => one - other)
  const of = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return `${of(0.5)} ms (p50), ${of(0.95)} ms (p95), ${of(0.99)} ms (p99)`
}

const byAttempt = () =>
  Map.groupBy(
    readNoted(log),
    ({ job, step, item, attempt, pid }) => `${job} ${step}[${item}] ${attempt} of ${pid}`,
  )
const thingsOf = (lines: readonly Noted[], act: string) =>
  lines.flatMap(({ what }) => (what.startsWith(`${act} `) ? [what.slice(act.length + 1)] : []))

test('whatever an attempt took it gave back once, last in first out', async () => {
  // A run does not wait for those that are slow to answer its cancel: they may still be giving back.
  await until('as much to be given back as was taken', () =>
    [...byAttempt().values()].every(
      (lines) => thingsOf(lines, 'give').length >= thingsOf(lines, 'take').length,
    ),
  )
  const attempts = [...byAttempt()]
  assert.ok(attempts.length > RUNS)
  for (const [name, lines] of attempts) {
    const held: string[] = []
    for (const { what } of lines) {
      const [, act, thing] = /^(take|give) (.+)$/.exec(what) ?? []
      // One that was left behind while it waited for a connection takes it when all else is given back.
      if (act === 'take') held.push(thing as string)
      else if (act === 'give') assert.equal(thing, held.pop(), name)
    }
    assert.deepEqual(held, [], name)
  }
})

test('nothing of a cancelled run started once its fence had to be known', async () => {
  for (const { id, status } of cancelled) {
    if (status !== 202) continue
    const askedAt = Date.parse((await client.job(id)).cancel?.requestedAt ?? '')
    const late = readNoted(log, id).filter(
      ({ what, at }) => what === 'start' && at > askedAt + 3_000,
    )
    assert.deepEqual(late, [])
  }
})

test('nothing is left: no file, process, stream, lock or place', async () => {
  await until('the files to be removed', () => readdirSync(dir).length === 0)
  const children = readNoted(log).flatMap(({ what }) => /^take child (\d+)$/.exec(what)?.[1] ?? [])
  assert.ok(children.length > RUNS)
  for (const pid of children) assert.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' })
  await until('the streams to be closed', () => streams === 0)
  await until('the locks to be given back', async () => {
    const [row] = await system.query<{ locks: number }>(
      tenant,
      `select count(*)::integer as locks from pg_locks l
      join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'advisory' and a.application_name = 'weir-hold'`,
    )
    return row?.locks === 0
  })
  await until('the quotas to be given back', async () => {
    const [usage] = await system.query<{ queued: number; running: number }>(
      tenant,
      'select queued, in_flight as running from tenant_usage where tenant_id = $1',
      [tenant],
    )
    return usage?.queued === 0 && usage.running === 0
  })
  await until('the slots to be given back', async () => {
    return (await system.metrics('dispatcher')).get('weir_dispatch_runs') === 0
  })
  await until('all offsets to be committed', async () => {
    const { stages } = await system.operator.get<{ stages: { lag: number }[] }>('/v1/flow')
    return stages.length > 0 && stages.every(({ lag }) => lag === 0)
  })
  for (const stage of ['act', 'hold']) {
    const metrics = await system.metrics(stage)
    assert.equal(metrics.get('weir_stage_tasks_running'), 0)
    assert.equal(metrics.get('weir_stage_open_joins'), 0)
  }
})
