import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { type JobEvent, newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Pool } from './pool.ts'
import { admitJobs } from './queries/admit.ts'
import { newJob } from './queries/fixtures.ts'
import { asTenant } from './single-statements.ts'

const page = new URL('../../../docs/reference/wide-rows.md', import.meta.url)
const tenant = newUuid()
const traceId = 'ab'.repeat(16)
const traceparent = `00-${traceId}-${'cd'.repeat(8)}-01`
let db: TestDatabase
let control: Pool

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
  await db.addTenant(tenant, 'one')
})
after(() => db.drop())

type Row = Readonly<Record<string, unknown>>
type Said = Omit<JobEvent, 'seq' | 'run' | 'at'> & { readonly run?: number }

const rowsOf = (view: string, job: string) =>
  asTenant(control, tenant).query<Row>({
    text: `select * from ${view} where job_id = $1 order by 1, 2, 3`,
    values: [job],
  })
const start = Date.parse('2026-01-02T03:04:05.000Z')

/** A job with a log whose events are a second apart; each chunk is of one run. */
async function jobWith(chunks: readonly (readonly Said[])[]): Promise<string> {
  const job = newJob({ traceparent, correlationId: 'c-1' })
  await admitJobs(control, tenant, [job], { allOrNone: true })
  let seq = 0
  for (const chunk of chunks) {
    const events = chunk.map((said): JobEvent => {
      seq += 1
      return { seq, run: 1, at: new Date(start + seq * 1_000).toISOString(), ...said }
    })
    await db.admin('insert into job_log values ($1, $2, $3, $4, $5, $6)', [
      tenant,
      job.id,
      events[0]?.seq,
      seq,
      events[0]?.run,
      JSON.stringify(events),
    ])
  }
  const last = chunks.at(-1)?.at(-1)
  if (last?.type.startsWith('job.') && last.type !== 'job.queued') {
    await db.admin('delete from job_queue where job_id = $1', [job.id])
    await db.admin('update jobs set status = $2, run = $3 where id = $1', [
      job.id,
      last.type.slice('job.'.length),
      last.run ?? 1,
    ])
  }
  return job.id
}

const task = (type: JobEvent['type'], more: Partial<JobEvent>): Said => ({
  type,
  step: 'locate',
  stage: 'locate@1',
  attempt: 1,
  data: {},
  ...more,
})
const broken = { code: 'broken', message: 'It broke.', class: 'transient' } as const
const opening: Said[] = [
  { type: 'job.queued', data: {} },
  { type: 'job.dispatched', data: {} },
]

describe('the rows of what ran', () => {
  it('are one an attempt of a task, with how long it waited and worked', async () => {
    const job = await jobWith([
      [
        ...opening,
        task('task.started', { data: { waitMs: 9 } }),
        task('task.retry_scheduled', { data: { waitMs: 1.5, workMs: 2, error: broken } }),
        task('task.progress', { data: { progress: { n: 1, done: 1 } } }),
      ],
      [
        task('task.completed', { attempt: 2, data: { waitMs: 3, workMs: 4.25, output: '{}' } }),
        task('task.failed', { item: '3.17', data: { error: broken } }),
        { type: 'job.failed', data: { error: broken } },
      ],
    ])
    const shared = {
      tenant_id: tenant,
      job_id: job,
      run: 1,
      pipeline: 'delays',
      version: 1,
      correlation_id: 'c-1',
      trace_id: traceId,
      step: 'locate',
      stage: 'locate@1',
    }
    const at = (seq: number) => new Date(start + seq * 1_000)
    const rows = await rowsOf('wide_tasks', job)
    assert.deepEqual(
      rows.toSorted((a, b) => Number(a.seq) - Number(b.seq)),
      [
        { seq: 4, item: '', attempt: 1, outcome: 'retried', wait_ms: 1.5, work_ms: 2, at: at(4) },
        {
          seq: 6,
          item: '',
          attempt: 2,
          outcome: 'completed',
          wait_ms: 3,
          work_ms: 4.25,
          at: at(6),
        },
        { seq: 7, item: '3.17', attempt: 1, outcome: 'failed', wait_ms: 0, work_ms: 0, at: at(7) },
      ].map((own) => ({
        ...shared,
        ...own,
        error_code: own.outcome === 'completed' ? null : 'broken',
      })),
    )
    const [run, ...others] = await rowsOf('wide_runs', job)
    assert.deepEqual(others, [])
    assert.deepEqual(run, {
      tenant_id: tenant,
      job_id: job,
      run: 1,
      pipeline: 'delays',
      version: 1,
      correlation_id: 'c-1',
      trace_id: traceId,
      status: 'failed',
      queued_at: at(1),
      dispatched_at: at(2),
      finished_at: at(8),
      queue_ms: 1_000,
      duration_ms: 6_000,
      completed: 1,
      skipped: 0,
      failed: 1,
      cancelled: 0,
      dropped: 0,
      retried: 1,
      wait_ms: 4.5,
      work_ms: 6.25,
      error_code: 'broken',
    })
  })

  it('are one a run, each with its own tasks', async () => {
    const again = (said: Said): Said => ({ ...said, run: 2 })
    const job = await jobWith([
      [
        ...opening,
        task('task.failed', { data: { error: broken } }),
        { type: 'job.failed', data: { error: broken } },
      ],
      [
        again({ type: 'job.rerun', data: { cause: 'replay', again: [['locate', '*']] } }),
        again({ type: 'job.dispatched', data: {} }),
        again(task('task.completed', { data: { waitMs: 1, workMs: 1 } })),
        again({ type: 'job.completed', data: {} }),
      ],
    ])
    const rows = await rowsOf('wide_runs', job)
    assert.deepEqual(
      rows.map((row) => [row.run, row.status, row.completed, row.failed, row.error_code]),
      [
        [1, 'failed', 0, 1, 'broken'],
        [2, 'completed', 1, 0, null],
      ],
    )
    assert.deepEqual(
      rows.map((row) => [row.queue_ms, row.duration_ms]),
      [
        [1_000, 2_000],
        [1_000, 2_000],
      ],
    )
  })

  it('are there for a job that only waits, with what is still to come left open', async () => {
    const [row] = await rowsOf('wide_runs', await jobWith([]))
    assert.ok(row?.queued_at instanceof Date)
    const { status, dispatched_at, finished_at, duration_ms, completed, wait_ms } = row
    assert.deepEqual(
      [status, dispatched_at, finished_at, duration_ms, completed, wait_ms],
      ['queued', null, null, null, 0, 0],
    )
  })

  it('are not hidden by text that jsonb refuses', async () => {
    const message = 'NUL \u0000, half a pair \ud800, a backslash before either: \\\u0000 \\u0000 \\'
    const job = await jobWith([
      [
        ...opening,
        task('task.completed', { data: { output: JSON.stringify(message) } }),
        task('task.skipped', { item: '1', data: { reason: message } }),
        task('task.failed', { item: '2', data: { error: { ...broken, message } } }),
        { type: 'job.failed', data: { error: { ...broken, message } } },
      ],
    ])
    const tasks = await rowsOf('wide_tasks', job)
    assert.deepEqual(tasks.map(({ outcome }) => outcome).sort(), ['completed', 'failed', 'skipped'])
    const [run] = await rowsOf('wide_runs', job)
    assert.deepEqual([run?.status, run?.error_code], ['failed', 'broken'])
  })

  it('have the columns that the reference names, and no others', async () => {
    const text = await readFile(page, 'utf8')
    const [, tasks = '', runs = ''] = text.split(/^`weir\.wide_(?:tasks|runs)`/m)
    for (const [view, section] of Object.entries({ wide_tasks: tasks, wide_runs: runs })) {
      const named = section
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .flatMap((line) =>
          [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
        )
      const columns = await db.admin<{ name: string }>(
        `select attname as name from pg_attribute
         where attrelid = $1::regclass and attnum > 0 order by attnum`,
        [`weir.${view}`],
      )
      assert.deepEqual(
        named,
        columns.map(({ name }) => name),
        view,
      )
    }
  })

  it('answer the questions of the reference', async () => {
    const text = await readFile(page, 'utf8')
    const questions = [...text.matchAll(/```sql\n(select step[^`]+|select job_id[^`]+)```/g)]
    assert.equal(questions.length, 2)
    await jobWith([[...opening, task('task.completed', {}), { type: 'job.completed', data: {} }]])
    for (const [, question = ''] of questions) {
      const rows = await asTenant(control, tenant).query<Row>({ text: question.replace(';', '') })
      assert.ok(rows.length > 0, question)
    }
  })
})
