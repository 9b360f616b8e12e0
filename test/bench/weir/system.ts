import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPool, type Pool } from '@weir/postgres'
import { createInstallation } from '../../../deploy/local/installation.ts'
import { guardAgainstOwnDeath } from '../../../deploy/local/parent-guard.ts'
import { findFreePort } from '../../../deploy/local/ports.ts'
import { waitUntil } from '../../../deploy/local/wait.ts'
import { benchProcesses, pipelines } from './processes.ts'
import { createRest, type Rest } from './rest.ts'
import { startSpanSink } from './span-sink.ts'

const stopGraceMs = 20_000
const publishMaxMs = 60_000

export type Weir = {
  readonly kafka: string
  /** Of Kafka and Postgres, the platform's processes and the stages. */
  readonly pids: Readonly<Record<string, number>>
  readonly rest: Rest
  readonly tenant: string
  /** Reads what was kept, past row security: the check must not depend on what it checks. */
  readonly database: Pool
  /** Throws where a process has ended since the start: what was measured then counts for nothing. */
  assertUnbroken(): void
  stop(): Promise<void>
}

export type SystemOptions = {
  readonly traceRatio: number
  readonly say: (line: string) => void
}

/** Starts a whole system in a home of its own, with a tenant and the suite's pipelines. */
export async function startWeir(options: SystemOptions): Promise<Weir> {
  const sink = await startSpanSink()
  Object.assign(process.env, {
    WEIR_OTLP_URL: sink.url,
    WEIR_TRACE_RATIO: String(options.traceRatio),
    WEIR_LOG_LEVEL: process.env.WEIR_LOG_LEVEL ?? 'warn',
  })
  const home = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const ended: string[] = []
  const installation = createInstallation({
    home,
    apiPort: await findFreePort(),
    processes: benchProcesses,
    progress: options.say,
    log: (line) => {
      ended.push(line)
      options.say(line)
    },
  })
  let guard: { release(): void } | undefined
  const closers: (() => unknown)[] = []
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0)) await close()
    await installation.stop(stopGraceMs)
    guard?.release()
    await sink.close()
    if (process.env.BENCH_KEEP === undefined) rmSync(home, { recursive: true, force: true })
  }
  try {
    const run = await installation.start()
    guard = guardAgainstOwnDeath(home, Object.values(run.pids))
    const operator = createRest(run.api ?? '', run.operatorKey ?? '')
    closers.push(() => operator.close())
    const { id, adminKey } = await operator.call<{ id: string; adminKey: string }>(
      'POST',
      '/v1/tenants',
      { name: 'bench', quotas: wideOpen },
    )
    const rest = createRest(run.api ?? '', adminKey)
    const database = createPool({
      url: run.postgres ?? '',
      max: 1,
      applicationName: 'weir-bench',
      statementTimeoutMs: 60_000,
    })
    closers.push(
      () => rest.close(),
      () => database.end(),
    )
    for (const [name, document] of Object.entries(pipelines)) await publish(rest, name, document)
    return {
      kafka: run.kafka ?? '',
      pids: { ...run.pids },
      rest,
      tenant: id,
      database,
      assertUnbroken() {
        if (ended.length > 0) throw new Error(`not a measurement: ${ended.join('; ')}`)
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Quotas are for tenants that share: the one tenant here may have all there is. */
const wideOpen = {
  submitRatePerSecond: 1_000_000,
  submitBurst: 10_000_000,
  maxQueuedJobs: 10_000_000,
  maxInFlightJobs: 10_000_000,
  maxStoredBytes: 2 ** 40,
}

/** A stage's contracts reach control a moment after its process is ready. */
async function publish(rest: Rest, name: string, document: unknown): Promise<void> {
  let last: unknown
  const isPublished = await waitUntil(
    async () => {
      const { status, body } = await rest.send('PUT', `/v1/pipelines/${name}`, document)
      last = body
      return status === 201 || status === 200
    },
    { timeoutMs: publishMaxMs, intervalMs: 250 },
  )
  if (!isPublished) throw new Error(`pipeline ${name}: ${JSON.stringify(last)}`)
}
