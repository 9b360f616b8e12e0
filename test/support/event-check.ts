import assert from 'node:assert/strict'
import { isTerminal, type JobEventType, jobEventSchemas } from '@weir/contracts'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { closeSchema } from './close-schema.ts'

type Event = {
  readonly seq: number
  readonly run: number
  readonly type: string
  readonly at: string
  readonly step?: string
  readonly item?: string
  readonly attempt?: number
}

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)
const validators = new Map<string, ValidateFunction>(
  Object.entries(jobEventSchemas).map(([type, schema]) => [type, ajv.compile(closeSchema(schema))]),
)

const DECISIONS: ReadonlySet<string> = new Set<JobEventType>([
  'task.completed',
  'task.skipped',
  'task.failed',
  'task.cancelled',
  'task.dropped',
])
/** What may be said of a task that is decided. */
const AFTERWARDS: ReadonlySet<string> = new Set<JobEventType>([
  'task.diverged',
  'task.dead_lettered',
])

const isEnd = ({ type }: Event) => type.startsWith('job.') && isTerminal(type.slice('job.'.length))

/** Fails where an event is not what its schema says, to the last member. */
export function assertEvent(event: Event): void {
  const validate = validators.get(event.type)
  const said = JSON.stringify(event).slice(0, 1_000)
  assert.ok(validate, `there is no schema for ${said}`)
  assert.ok(validate(event), `${said}: ${JSON.stringify(validate.errors)}`)
}

/**
 * Fails where the log of a job, as far as it has come, is not one: each event by its schema, numbers
 * without a gap, one beginning and at most one end of each run, at most one decision of each task
 * and nothing of it after that, attempts that rise. Gives how many events there are of each type.
 */
export function assertEvents(events: readonly Event[]): Map<string, number> {
  const counts = new Map<string, number>()
  const decided = new Set<string>()
  const attempts = new Map<string, number>()
  let open: number | undefined
  let run = 0
  for (const [at, event] of events.entries()) {
    assertEvent(event)
    counts.set(event.type, (counts.get(event.type) ?? 0) + 1)
    const said = `${event.seq} ${event.type} of run ${event.run}`
    assert.equal(event.seq, at + 1, said)
    if (event.type === 'job.queued' || event.type === 'job.rerun') {
      assert.equal(event.type === 'job.queued', run === 0, `${said}: only the first is queued`)
      run += 1
      open = run
      decided.clear()
      attempts.clear()
    }
    assert.equal(event.run, run, said)
    assert.ok(open !== undefined, `${said} comes after the end of its run`)
    if (isEnd(event)) open = undefined
    if (event.step === undefined) continue
    const task = `${event.step}/${event.item ?? ''}`
    const isAfter = AFTERWARDS.has(event.type)
    assert.ok(!decided.has(task) || isAfter, `${said}: ${task} is decided before`)
    if (DECISIONS.has(event.type)) decided.add(task)
    if (isAfter || event.type === 'join.fired') continue
    const tried = attempts.get(task) ?? 1
    assert.ok((event.attempt ?? 0) >= tried, `${said}: ${task} has come to attempt ${tried}`)
    const isRetry = event.type === 'task.retry_scheduled'
    attempts.set(task, (event.attempt ?? 0) + (isRetry ? 1 : 0))
  }
  return counts
}
