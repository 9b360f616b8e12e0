import { context, type Span, trace } from '@opentelemetry/api'
import { defaults, type Lane, type TaskProgress } from '@weir/contracts'
import { createSchedule, type Place, type Task, type TaskEnd, type Timing } from '@weir/core'
import { isSampled, type Logger, traceIds, traceparentOf, withLogContext } from '@weir/runtime'
import {
  Aborter,
  runBatchTasks,
  runTask,
  type Task as SdkTask,
  type Stage,
  TaskAbort,
  type TaskResult,
} from '@weir/sdk'
import { createBatcher } from './batcher.ts'
import type { EngineClock } from './clock.ts'
import type { EngineCounters } from './counters.ts'
import type { EventSink } from './event-sink.ts'
import { taskContext } from './log-context.ts'
import { createProgressTeller, type ProgressTeller } from './progress-teller.ts'
import { endProcessSpan, startProcessSpan } from './spans.ts'
import { payloadFault, toTaskEnd } from './task-end.ts'
import { readTaskInput } from './task-input.ts'
import {
  type ClosableTeller,
  createTaskTeller,
  type TaskEvent,
  type Telling,
} from './task-teller.ts'

/** The partition of a task, as far as running needs it. */
export type TaskOwner = {
  readonly topic: string
  readonly partition: number
  readonly lane: Lane
  /** Marks the task as running; false where it is no longer to be run. */
  start(task: Task): boolean
  /** `traceparent`: what follows from the task carries it. */
  end(task: Task, end: TaskEnd, timing: Timing, traceparent: string): void
}

/**
 * Runs ready tasks, `concurrency` at once over all partitions of the instance.
 *
 * 1. Nothing starts while it is held, or while the fences are not known to be fresh (promise 9).
 * 2. A task that is aborted keeps its slot until its handler has returned or is detached.
 * 3. A result of a task that was aborted for good reaches nobody: its partition knows it no more.
 */
export type TaskRunner = {
  readonly waiting: number
  readonly running: number
  /** Fenced runs of which a task still runs. */
  cleaning(): [job: string, run: number][]
  add(owner: TaskOwner, task: Task): void
  abort(task: Task, reason: 'fenced' | 'superseded' | 'stopping'): void
  /** Whether a handler is at work for the owner. */
  runsFor(owner: TaskOwner): boolean
  /** Ends the waiting of an owner that has lost its partition, and aborts what it runs. */
  dropOwner(owner: TaskOwner): void
  /** Tells of tasks that have been running for a second, once each. */
  tellLong(): void
  /** While held nothing starts. */
  hold(isHeld: boolean): void
  /** Starts what may start. */
  pump(): void
  /** Waits until nothing runs; after `graceMs` what still runs is aborted and waited for. */
  drain(graceMs: number): Promise<void>
}

export type TaskRunnerOptions = {
  readonly stage: Stage
  readonly group: string
  readonly concurrency: number
  readonly clock: EngineClock
  readonly log: Logger
  readonly counters: EngineCounters
  readonly isFresh: () => boolean
  readonly retryDelayMs: (task: Task) => number
  readonly onMeasured: (waitMs: number, workMs: number) => void
  /** An attempt has failed, for good or not. */
  readonly onFailed: (code: string) => void
  /** A task has been running for a second: worth a report of its own. */
  readonly onLong: (task: Task, startedAt: number, waitMs: number, traceparent: string) => void
  /** How far a handler says it has come. */
  readonly onProgress: (task: Task, progress: TaskProgress, traceparent: string) => void
  readonly events: EventSink<TaskEvent>
  /** What a handler tells: an event, a gap among them, an artifact with its content. */
  readonly onTold: (
    task: Task,
    telling: Telling,
    content: Buffer | undefined,
    traceparent: string,
    done: (error: Error | undefined) => void,
  ) => void
  /** A fenced task has begun or ended its cleanup. */
  readonly onCleaning: () => void
  /** More handlers are detached than an instance may have: it must start anew. */
  readonly onTooManyDetached: () => void
}

type Waiting = { readonly owner: TaskOwner; readonly task: Task }
type Running = Waiting & {
  readonly aborter: Aborter
  fencedAs: [job: string, run: number] | undefined
  readonly startedAt: number
  readonly waitMs: number
  readonly traceparent: string
  isTold: boolean
  /** Made by the first word: most handlers say nothing. */
  progress: ProgressTeller | undefined
  teller: ClosableTeller | undefined
}
type Batch = readonly Waiting[]

const LONG_MS = 1_000
/** Handlers may start for so long before the loop turns. */
const SLICE_MS = 10

export function createTaskRunner(options: TaskRunnerOptions): TaskRunner {
  const { stage, clock, log, counters } = options
  const schedule = createSchedule<Batch>({ concurrency: options.concurrency })
  const running = new Map<Task, Running>()
  const detachedMax = Math.max(4, options.concurrency)
  const endOptions = { stage, retryDelayMs: options.retryDelayMs }
  const runOptions = { clock, cleanupMs: defaults.cleanupMs }
  const isBatch = stage.handler.type === 'batch'
  let detached = 0
  let isHeld = false
  let isPumping = false
  const onIdle: (() => void)[] = []

  const batcher =
    stage.batch === null
      ? undefined
      : createBatcher<Waiting>({
          ...stage.batch,
          onBatch(entries, place) {
            schedule.add(entries, place)
            pumpSoon()
          },
        })

  const pumpSoon = () => {
    if (isPumping) return
    isPumping = true
    queueMicrotask(resume)
  }

  const pump = () => {
    if (isHeld || schedule.size === 0 || !options.isFresh()) return
    const untilMs = clock.monotonicMs() + SLICE_MS
    for (let next = schedule.take(); next !== undefined; next = schedule.take()) {
      start(next.item, next.place)
      // Handlers that never wait would keep heartbeats, fetches and fences from being heard.
      if (clock.monotonicMs() < untilMs) continue
      isPumping = true
      setImmediate(resume)
      return
    }
  }

  const resume = () => {
    isPumping = false
    pump()
  }

  const start = (batch: Batch, place: Place) => {
    const attempts: Attempt[] = []
    for (const { owner, task } of batch) {
      const attempt = owner.start(task) ? prepare(owner, task) : undefined
      if (attempt !== undefined) attempts.push(attempt)
    }
    const [first] = attempts
    if (first === undefined) finish(place)
    else if (isBatch) startBatch(attempts, place)
    else startSingle(first, place)
  }

  const startSingle = (attempt: Attempt, place: Place) => {
    const { one, sdkTask, span } = attempt
    const known = taskContext(stage, one.task, one.traceparent)
    const run = () => withLogContext(known, () => runTask(stage, sdkTask, runOptions))
    const ran = span === undefined ? run() : context.with(contextOf(span), run)
    const end = (result: TaskResult) => {
      settle(attempt, result)
      if (result.detached !== null) watchDetached(result.detached, [attempt])
      finish(place)
    }
    if (ran instanceof Promise) void ran.then(end)
    else end(ran)
  }

  const startBatch = (attempts: readonly Attempt[], place: Place) => {
    const sdkTasks = attempts.map(({ sdkTask }) => sdkTask)
    void runBatchTasks(stage, sdkTasks, runOptions).then((results) => {
      attempts.forEach((attempt, index) => {
        settle(attempt, results[index] as TaskResult)
      })
      // One handler serves all of them: it is one, detached or not.
      const still = results.find((result) => result.detached !== null)?.detached
      if (still != null) watchDetached(still, attempts)
      finish(place)
    })
  }

  const finish = (place: Place) => {
    schedule.end(place)
    if (running.size === 0) for (const tell of onIdle.splice(0)) tell()
    pumpSoon()
  }

  /** Everything an attempt needs; a task whose payload cannot be read ends here instead. */
  const prepare = (owner: TaskOwner, task: Task): Attempt | undefined => {
    const startedAt = clock.now()
    const waitMs = rounded(Math.max(0, startedAt - Math.max(task.timestampMs, task.notBefore)))
    const { traceparent } = task.envelope
    try {
      const { input, fields, links } = readTaskInput(task)
      const from = { topic: owner.topic, partition: owner.partition, group: options.group }
      const span = isSampled(traceparent)
        ? startProcessSpan(task, stage, from, waitMs, links)
        : undefined
      const one: Running = {
        owner,
        task,
        aborter: new Aborter(),
        fencedAs: undefined,
        startedAt,
        waitMs,
        traceparent: span === undefined ? traceparent : (traceparentOf(span) ?? traceparent),
        isTold: false,
        progress: undefined,
        teller: undefined,
      }
      running.set(task, one)
      const sdkTask: SdkTask = {
        input,
        fields,
        notAfter: task.envelope.meta.notAfter,
        timeoutMs: task.step.timeoutMs,
        aborter: one.aborter,
        log,
        // A batch's handler serves many tasks: none of them is the one that is active.
        logFields: isBatch ? () => traceIds(one.traceparent) : undefined,
        onProgress: (done, total) => {
          if (running.get(task) !== one || one.fencedAs !== undefined) return
          one.progress ??= createProgressTeller(clock.now, (progress) => {
            options.onProgress(task, progress, one.traceparent)
          })
          one.progress.say(done, total)
        },
        teller: () => {
          one.teller = createTaskTeller(options.events, (telling, content, told) => {
            if (one.fencedAs === undefined) {
              options.onTold(task, telling, content, one.traceparent, told)
            } else told(new Error('the run is over'))
          })
          return one.teller
        },
        ...(span !== undefined && { span }),
      }
      return { one, sdkTask, span }
    } catch {
      const result = { status: 'fail', error: payloadFault() } as const
      counters.failed += 1
      owner.end(task, { end: 'result', result }, { waitMs, workMs: 0 }, traceparent)
      return undefined
    }
  }

  const settle = ({ one, span }: Attempt, result: TaskResult) => {
    const { task, owner, waitMs, traceparent } = one
    // Before the outcome is reported: the ledger takes nothing of a task that is decided.
    one.progress?.end()
    one.teller?.close()
    running.delete(task)
    const { outcome } = result
    const workMs = rounded(result.workMs)
    const error = 'error' in outcome ? outcome.error : undefined
    if (span !== undefined) endProcessSpan(span, outcome.status, error)
    options.onMeasured(waitMs, workMs)
    if (one.fencedAs !== undefined) options.onCleaning()
    const end = toTaskEnd(endOptions, task, outcome, clock.now())
    if (end.end === 'left') return
    if (error !== undefined) options.onFailed(error.code)
    if (task.state === 'running') count(end)
    owner.end(task, end, { waitMs, workMs }, traceparent)
  }

  const count = (end: TaskEnd) => {
    if (end.end === 'retry') counters.retried += 1
    else if (end.result.status === 'ok') counters.processed += 1
    else if (end.result.status === 'skip') counters.skipped += 1
    else if (end.result.status === 'cancel') counters.cancelled += 1
    else counters.failed += 1
  }

  const watchDetached = (handler: Promise<void>, attempts: readonly Attempt[]) => {
    detached += 1
    counters.detached += 1
    for (const { one } of attempts) {
      withLogContext(taskContext(stage, one.task, one.traceparent), () =>
        log.warn({ detached }, 'a handler did not return after its signal was aborted'),
      )
    }
    handler.then(
      () => {
        detached -= 1
      },
      () => {
        detached -= 1
      },
    )
    if (detached > detachedMax) options.onTooManyDetached()
  }

  const abort: TaskRunner['abort'] = (task, reason) => {
    const one = running.get(task)
    if (one === undefined) return
    if (reason === 'fenced') {
      one.fencedAs = [task.envelope.job, task.envelope.meta.run]
      options.onCleaning()
    }
    one.aborter.abort(new TaskAbort(reason === 'stopping' ? 'shutdown' : 'cancelled'))
  }

  const untilIdle = () =>
    new Promise<void>((resolve) => {
      if (running.size === 0) resolve()
      else onIdle.push(resolve)
    })

  return {
    get waiting() {
      return schedule.size + (batcher?.size ?? 0)
    },
    get running() {
      return running.size
    },
    cleaning() {
      const runs = new Map<string, [string, number]>()
      for (const { fencedAs } of running.values()) {
        if (fencedAs !== undefined) runs.set(fencedAs.join('/'), fencedAs)
      }
      return [...runs.values()]
    },
    add(owner, task) {
      const { envelope } = task
      const place = { lane: owner.lane, tenant: envelope.tenant, priority: envelope.meta.priority }
      if (batcher !== undefined) {
        batcher.add({ owner, task }, place)
        return
      }
      schedule.add([{ owner, task }], place)
      pumpSoon()
    },
    abort,
    runsFor(owner) {
      for (const one of running.values()) if (one.owner === owner) return true
      return false
    },
    dropOwner(owner) {
      for (const one of running.values()) if (one.owner === owner) abort(one.task, 'stopping')
    },
    tellLong() {
      const beforeMs = clock.now() - LONG_MS
      for (const one of running.values()) {
        if (one.isTold || one.startedAt > beforeMs) continue
        one.isTold = true
        if (one.fencedAs !== undefined) continue
        options.onLong(one.task, Math.floor(one.startedAt), one.waitMs, one.traceparent)
      }
    },
    hold(next) {
      isHeld = next
      if (!isHeld) pumpSoon()
    },
    pump: pumpSoon,
    async drain(graceMs) {
      isHeld = true
      batcher?.clear()
      if (running.size === 0) return
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(() => {
          for (const { task } of running.values()) abort(task, 'stopping')
          resolve()
        }, graceMs)
      })
      await Promise.race([untilIdle(), late])
      clearTimeout(timer)
      // Aborted handlers return, or are detached after their own grace time.
      await untilIdle()
    },
  }
}

type Attempt = {
  readonly one: Running
  readonly sdkTask: SdkTask
  readonly span: Span | undefined
}

const contextOf = (span: Span) => trace.setSpan(context.active(), span)

const rounded = (ms: number) => Math.round(ms * 100) / 100
