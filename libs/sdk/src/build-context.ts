import { INVALID_SPAN_CONTEXT, type Span, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { Aborter } from './aborter.ts'
import type { Cleanups } from './cleanups.ts'
import type { Clock } from './clock.ts'
import type { Budget, GatherManifest, JoinView, StageContext, TaskFields } from './context.ts'
import { deepFreeze } from './freeze.ts'
import { cancel, route, skip } from './outcome.ts'
import type { Stage } from './stage.ts'
import type { Task } from './task.ts'
import { Told } from './told.ts'

const OPEN_BUDGET: Budget = { take: async () => {} }

/** The context of one attempt. `endsAt` is where timeout or not-after ends it, epoch milliseconds. */
export function buildContext(
  stage: Stage,
  task: Task,
  clock: Clock,
  endsAt: number,
  aborter: Aborter,
  cleanups: Cleanups,
  teller: Teller,
): StageContext {
  deepFreeze(task.fields.config)
  return new TaskContext(stage, task, clock, endsAt, aborter, cleanups, teller)
}

/** Who holds what an attempt has told, once it has told something. */
type Teller = { told: Told | undefined }

/**
 * A class, because an object with these accessors would be built property by property for each task
 * (6 µs). Nothing depends on `this` where an author may take a function out of the context.
 */
class TaskContext implements StageContext {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly pipeline: string
  readonly step: string
  readonly item: string
  readonly attempt: number
  readonly correlationId: string
  readonly priority: number
  readonly isReplay: boolean
  readonly config: Readonly<Record<string, unknown>>
  readonly join?: JoinView
  readonly manifest?: GatherManifest
  readonly #stage: Stage
  readonly #task: Task
  readonly #clock: Clock
  readonly #endsAt: number
  readonly #aborter: Aborter
  readonly #cleanups: Cleanups
  readonly #teller: Teller
  #log: Logger | undefined

  constructor(
    stage: Stage,
    task: Task,
    clock: Clock,
    endsAt: number,
    aborter: Aborter,
    cleanups: Cleanups,
    teller: Teller,
  ) {
    const fields: TaskFields = task.fields
    this.tenant = fields.tenant
    this.job = fields.job
    this.run = fields.run
    this.pipeline = fields.pipeline
    this.step = fields.step
    this.item = fields.item
    this.attempt = fields.attempt
    this.correlationId = fields.correlationId
    this.priority = fields.priority
    this.isReplay = fields.isReplay
    this.config = fields.config
    if (fields.join !== undefined) this.join = fields.join
    if (fields.manifest !== undefined) this.manifest = fields.manifest
    this.#cleanups = cleanups
    this.#teller = teller
    this.#stage = stage
    this.#task = task
    this.#clock = clock
    this.#endsAt = endsAt
    this.#aborter = aborter
  }

  /** Made when it is asked for: it is a hash. */
  get idempotencyKey(): string {
    return this.#task.fields.idempotencyKey
  }

  get deadline(): number {
    return Math.max(0, this.#endsAt - this.#clock.now())
  }

  get signal(): AbortSignal {
    return this.#aborter.signal
  }

  /** Made when it is used: most tasks say nothing. */
  get log(): Logger {
    this.#log ??= this.#task.log.child({
      tenant: this.tenant,
      job: this.job,
      run: this.run,
      correlation: this.correlationId,
      stage: this.#stage.ref,
      step: this.step,
      item: this.item,
      attempt: this.attempt,
      ...this.#task.logFields?.(),
    })
    return this.#log
  }

  get span(): Span {
    return this.#task.span ?? trace.getActiveSpan() ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
  }

  get onCleanup(): StageContext['onCleanup'] {
    const cleanups = this.#cleanups
    return (cleanup) => cleanups.add(cleanup)
  }

  get budget(): StageContext['budget'] {
    const task = this.#task
    return (name) => task.budget?.(name) ?? OPEN_BUDGET
  }

  get progress(): StageContext['progress'] {
    const task = this.#task
    return (done, total) => task.onProgress?.(done, total)
  }

  get event(): StageContext['event'] {
    return (name, data) => this.#told().event(name, data)
  }

  get artifact(): StageContext['artifact'] {
    return (name, content, options) => this.#told().artifact(name, content, options?.mediaType)
  }

  #told(): Told {
    this.#teller.told ??= new Told(this.#task.teller?.())
    return this.#teller.told
  }

  get skip() {
    return skip
  }

  get cancel() {
    return cancel
  }

  get route() {
    return route
  }
}
