import { type TObject, type TProperties, type TSchema, Type } from 'typebox'
import type { JobEventType } from './job-events.ts'
import { limits } from './limits.ts'
import { ERROR_CLASSES } from './states.ts'
import { LOST_REASONS } from './transitions.ts'

/*
 * What each event of a job's log says. The types are those of job-events.ts; here stands which members
 * come with which type. Objects are open: a newer Weir may say more.
 */

const maybe = <Schema extends TSchema>(schema: Schema) => Type.Optional(schema)
const about = (description: string) => ({ description })

const text = Type.String({ minLength: 1 })
const ms = Type.Number({ minimum: 0 })
const time = Type.String({ format: 'date-time' })
const count = (maximum?: number) =>
  Type.Integer({ minimum: 0, ...(maximum === undefined ? {} : { maximum }) })

const path = Type.String({
  pattern: '^(?:0|[1-9][0-9]{0,4})(?:\\.(?:0|[1-9][0-9]{0,4}))*$',
  description: 'Of the element inside of a fan-out: `3`, or `3.17`',
})

/** By the dialect of OpenAPI 3.1, in which what stands in the place of an element is `prefixItems`. */
const tuple = (...prefixItems: readonly TSchema[]) => {
  const length = prefixItems.length
  const bounds = { minItems: length, maxItems: length }
  return Type.Unsafe<readonly unknown[]>({ type: 'array', prefixItems, items: false, ...bounds })
}

const error = Type.Object(
  {
    code: text,
    message: Type.String(),
    class: Type.Unsafe<string>({ type: 'string', enum: [...ERROR_CLASSES] }),
  },
  about('What went wrong, safe to show to the tenant'),
)

const timing = {
  waitMs: Type.Number({ minimum: 0, ...about('Between the arrival of the message and the work') }),
  workMs: Type.Number({ minimum: 0, ...about('Between start and end of the attempt') }),
}

const edge = Type.Integer({ minimum: 0, ...about('Number of the edge in the plan') })
const item = Type.String(about('Path of the element; empty outside of fan-outs'))

const inputs = {
  took: maybe(
    Type.Array(tuple(edge, item, Type.String(about('Digest of the content'))), {
      description: 'Messages that the task ran on, where they are not the sender’s word',
    }),
  ),
  missing: maybe(
    Type.Array(tuple(edge, item), {
      description: 'What a join does without; `*` is a gather edge as a whole',
    }),
  ),
}

const fanOut = maybe(
  Type.Object(
    {
      marker: Type.Unsafe<string>({
        type: 'string',
        enum: ['items', 'empty', 'skipped', 'failed'],
      }),
      count: count(limits.fanOutItems),
    },
    about('Of a step with `each`: the elements sent, or the marker sent in their place'),
  ),
)

const reason = Type.String(about('Why, in words'))

const actor = maybe(
  Type.String({ minLength: 1, ...about('Who asked for it: `key:<id>` or `operator`') }),
)

const told = Type.Integer({
  minimum: 1,
  ...about('Number among the events and artifacts of the attempt'),
})

/** Members of `data` that end a run: the failure that ended it, and work that was not needed. */
const failure = { error: maybe(error), step: maybe(text), item: maybe(path) }
const superseded = maybe(
  Type.Array(text, about('Steps whose work was no longer needed when the run ended')),
)

function ofJob<Data extends TProperties>(type: JobEventType, description: string, data: Data) {
  return Type.Object(
    {
      seq: Type.Integer({ minimum: 1, ...about('1, 2, 3 … over all runs of the job') }),
      run: Type.Integer({ minimum: 1 }),
      type: Type.Literal(type),
      at: time,
      attempt: maybe(Type.Integer({ minimum: 0, ...about('Of the failure that ended the run') })),
      data: Type.Object(data),
    },
    { description },
  )
}

function ofTask<Data extends TProperties>(type: JobEventType, description: string, data: Data) {
  const { properties } = ofJob(type, description, data)
  return Type.Object(
    {
      ...properties,
      step: text,
      stage: text,
      item: maybe(path),
      attempt: Type.Integer({ minimum: 1 }),
    },
    { description },
  )
}

/** One schema for each type of event, by its type. */
export const jobEventSchemas = {
  'job.queued': ofJob('job.queued', 'The job was accepted', {}),
  'job.dispatched': ofJob(
    'job.dispatched',
    'It was taken from the queue; its first messages were sent',
    {},
  ),
  'task.started': ofTask('task.started', 'A task has been running for a while', { waitMs: ms }),
  'task.progress': ofTask(
    'task.progress',
    'Its handler says how far it has come (`ctx.progress`); at most once a second, and the last word before its end',
    {
      progress: Type.Object({
        n: Type.Integer({ minimum: 1, ...about('1, 2, 3 … of the attempt') }),
        done: Type.Number(),
        total: maybe(Type.Number()),
      }),
    },
  ),
  'task.event': ofTask('task.event', 'Its handler tells of its work (`ctx.event`)', {
    event: Type.Object({
      n: told,
      name: Type.String({ minLength: 1, maxLength: limits.eventNameLength }),
      data: maybe(Type.Unknown(about('Left out for who may not see payloads'))),
    }),
  }),
  'task.events_lost': ofTask('task.events_lost', 'Events of the attempt are missing here', {
    lost: Type.Object({
      from: told,
      to: told,
      count: Type.Integer({ minimum: 1 }),
      reason: Type.Unsafe<string>({ type: 'string', enum: [...LOST_REASONS] }),
    }),
  }),
  'task.artifact': ofTask(
    'task.artifact',
    'Its handler has made something that is kept with the run (`ctx.artifact`)',
    {
      artifact: Type.Object({
        n: told,
        name: Type.String({ minLength: 1, maxLength: limits.artifactNameLength }),
        mediaType: text,
        bytes: count(),
        digest: text,
        kept: maybe(Type.Literal(false, about('The run already keeps as many bytes as it may'))),
      }),
    },
  ),
  'task.completed': ofTask('task.completed', 'A task has its output', {
    ...timing,
    digest: text,
    outputBytes: Type.Integer({ minimum: 1 }),
    output: maybe(
      Type.String(
        about('JSON text; a large one, and payloads that may not be seen, are left out here'),
      ),
    ),
    fanOut,
    taken: maybe(Type.Array(text, about('Of a route: the branches taken'))),
    ...inputs,
  }),
  'task.skipped': ofTask(
    'task.skipped',
    'A step was not run: its input was skipped, its branch not taken, its handler said so',
    {
      ...timing,
      reason,
      failedBefore: maybe(Type.Literal(true, about('A failure before it was the cause'))),
      fanOut,
      ...inputs,
    },
  ),
  'task.failed': ofTask('task.failed', 'A task failed for good', {
    ...timing,
    error,
    fanOut,
    ...inputs,
  }),
  'task.cancelled': ofTask('task.cancelled', 'A handler ended the run without an error', {
    ...timing,
    reason,
    fanOut,
    ...inputs,
  }),
  'task.retry_scheduled': ofTask(
    'task.retry_scheduled',
    'An attempt failed and another will be made',
    { ...timing, error, retryAt: Type.Integer({ minimum: 0, ...about('Epoch milliseconds') }) },
  ),
  'task.dead_lettered': ofTask(
    'task.dead_lettered',
    'The task stands among the dead letters; not written yet',
    {},
  ),
  'task.dropped': ofTask(
    'task.dropped',
    'The task was dropped by an overload policy; not written yet',
    { reason },
  ),
  'task.diverged': ofTask(
    'task.diverged',
    'A task that ran twice answered differently from what counts',
    { diverged: Type.Literal(true), reason, digest: maybe(text) },
  ),
  'join.fired': ofTask('join.fired', 'A join did not wait for all of its inputs', inputs),
  'job.cancel_requested': ofJob('job.cancel_requested', 'Somebody asked to cancel the job', {
    reason: maybe(reason),
    actor,
    error: maybe(error),
  }),
  'job.rerun': ofJob('job.rerun', 'A replay or redrive began the next run; not written yet', {
    cause: maybe(text),
    again: maybe(
      Type.Array(tuple(text, Type.Union([Type.Literal('*'), Type.Array(item)])), {
        description: 'The tasks that run again, by step',
      }),
    ),
  }),
  'job.completed': ofJob('job.completed', 'Every step has reported, nothing failed', {
    superseded,
  }),
  'job.completed_with_failures': ofJob(
    'job.completed_with_failures',
    'Something failed, and the pipeline’s mode went on',
    { superseded },
  ),
  'job.failed': ofJob('job.failed', 'A failure ended the run, or its deadline passed', {
    ...failure,
    superseded,
  }),
  'job.cancelled': ofJob(
    'job.cancelled',
    'The run was cancelled: by a request, in the queue or when its work was cleaned up, or by a handler',
    { reason: maybe(reason), actor, superseded },
  ),
  'job.dropped': ofJob(
    'job.dropped',
    'The run was dropped from a queue that was full, because it was the oldest there',
    {
      reason: maybe(reason),
      superseded,
    },
  ),
} as const satisfies Record<JobEventType, TObject>

/** `task.retry_scheduled` as the name of its schema: `TaskRetryScheduledEvent`. */
export function eventSchemaName(type: string): string {
  const words = type.split(/[._]/).map((word) => `${word[0]?.toUpperCase()}${word.slice(1)}`)
  return `${words.join('')}Event`
}
