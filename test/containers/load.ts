import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { canonicalJson } from '@weir/contracts'
import { readDays } from '../demo/days.ts'
import { publishedOf } from '../demo/judge.ts'
import type { Delivery } from '../demo/receiver.ts'
import { runReference } from '../demo/run-reference.ts'
import type { Job } from '../support/api-client.ts'
import { until } from '../support/until.ts'
import type { Installation } from './installation.ts'

/** What a load needs beside the API: the platform, and the stages of its pipeline. */
export const LOAD_SERVICES: readonly string[] = [
  ...['dispatcher', 'ledger', 'watchdog'],
  ...['split', 'locate', 'classify', 'alert', 'summarise', 'publish'],
]

/** Of each day, so that many jobs end in the time of a test. */
const FLIGHTS = 20
const UNDER_WAY = 4
/** Between the end of a job and the next one, so that the load does not fill the machine. */
const PACE_MS = 500
/** How long a fault, its end and a busy machine may keep a single job, or all of them. */
const PROGRESS_MS = 300_000
const ASK_MS = 20_000
const PAGE = 500

/** Jobs of the demo's pipeline under way at all times, and the truth of what must come of each. */
export type Load = {
  /** Resolves when so many more jobs have ended. */
  progress(jobs: number): Promise<void>
  /**
   * Submits no more, waits for all that were accepted, and compares: each has the line of the
   * independent program, each task was decided once, there are no other jobs, and the receiver was
   * told of each under one key.
   */
  finish(): Promise<void>
}

export type Loads = {
  start(name: string): Load
  /** Gives up what is under way: after a test that failed. */
  stop(): void
}

type Day = { readonly input: unknown; readonly line: string; readonly tasks: readonly string[] }

/** Gives loads over one installation, one after the other. */
export async function createLoads({ compose, client }: Installation): Promise<Loads> {
  const days = await readSmallDays()
  const receiver = await compose.address('receiver', 8080)
  /** Lines of all jobs of all loads. */
  const published: string[] = []
  let isStopped = false

  return {
    start: startLoad,
    stop() {
      isStopped = true
    },
  }

  function startLoad(name: string): Load {
    const ids: string[] = []
    const jobs: Job[] = []
    let submitted = 0
    let ended = 0
    let isOver = false
    const dayOf = (index: number) => days[index % days.length] as Day

    // Without an answer nobody knows whether it was accepted: the same key again is the same job.
    const submit = (index: number) =>
      until(
        'an answer to a submit',
        async (): Promise<Job | true> =>
          isStopped ||
          client.submit('delays', dayOf(index).input, {
            tags: { load: name },
            headers: { 'idempotency-key': `${name}-${index}` },
          }),
        PROGRESS_MS,
      )
    const keepOneUnderWay = async () => {
      while (!isOver && !isStopped) {
        const index = submitted++
        const accepted = await submit(index)
        if (accepted === true) return
        const { id } = accepted
        ids[index] = id
        const job = await until(
          `job ${id} to end`,
          async (): Promise<Job | true> => isStopped || client.ended(id, ASK_MS),
          PROGRESS_MS,
        )
        if (job === true) return
        jobs[index] = job
        ended += 1
        await pause(PACE_MS)
      }
    }
    const work = Promise.all(Array.from({ length: UNDER_WAY }, keepOneUnderWay))
    work.catch(() => {})

    return {
      async progress(more) {
        const target = ended + more
        const hasGoneOn = until(`${more} more jobs to end`, () => ended >= target, PROGRESS_MS)
        await Promise.race([hasGoneOn, work])
        assert.ok(ended >= target, 'the load is over')
      },
      async finish() {
        isOver = true
        await work
        const wanted = ids.map((_, index) => dayOf(index).line)
        assert.deepEqual(jobs.map(lineOf), wanted)
        assert.deepEqual((await listJobs(name)).toSorted(), ids.toSorted())
        for (const [index, { id }] of jobs.entries())
          assert.deepEqual(await decidedTasks(id), dayOf(index).tasks, id)
        published.push(...wanted)
        const deliveries = (await (await fetch(receiver)).json()) as Delivery[]
        const told = deliveries.map(({ body }) => canonicalJson(JSON.parse(body)))
        assert.deepEqual(told.toSorted(), published.toSorted())
      },
    }
  }

  async function listJobs(load: string): Promise<readonly string[]> {
    const listed: string[] = []
    let cursor = ''
    do {
      const { jobs, nextCursor } = await client.get<{ jobs: readonly Job[]; nextCursor?: string }>(
        `/v1/jobs?tag.load=${load}&limit=${PAGE}${cursor}`,
      )
      listed.push(...jobs.map(({ id }) => id))
      cursor = nextCursor === undefined ? '' : `&cursor=${encodeURIComponent(nextCursor)}`
    } while (cursor !== '')
    return listed
  }

  /** Tasks that were decided, as often as they were; of a log without gaps. */
  async function decidedTasks(id: string): Promise<readonly string[]> {
    const events = await client.events(id)
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    )
    return events
      .filter(({ type }) => /^task\.(completed|skipped|failed)$/.test(type))
      .map(({ step = '', item = '' }) => `${step}[${item}]`)
      .toSorted()
  }
}

/** The line that a job has made, or what is wrong with it. */
function lineOf({ id, status, error, steps, result }: Job): string {
  if (status !== 'completed') return `${id} ${status} ${JSON.stringify(error)}`
  return canonicalJson(publishedOf({ steps, result }))
}

async function readSmallDays(): Promise<readonly Day[]> {
  const days = readDays().map(({ date, flights }) => ({ date, flights: flights.slice(0, FLIGHTS) }))
  const folder = mkdtempSync(join(tmpdir(), 'weir-load-'))
  try {
    const file = join(folder, 'flights.json')
    writeFileSync(file, JSON.stringify(days.flatMap(({ flights }) => flights)))
    const lines = await runReference(file)
    assert.equal(lines.length, days.length)
    return days.map((input, index) => ({
      input,
      line: lines[index] as string,
      tasks: tasks(input),
    }))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What the pipeline `delays` has to decide about a day. */
function tasks({ flights }: { readonly flights: readonly unknown[] }): readonly string[] {
  const perFlight = ['locate', 'classify', 'alert'].flatMap((step) =>
    flights.map((_, item) => `${step}[${item}]`),
  )
  return ['split[]', 'summarise[]', 'publish[]', ...perFlight].toSorted()
}
