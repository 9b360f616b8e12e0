import { defaults, idempotencyKeyOf, limits } from '@weir/contracts'
import { pino } from 'pino'
import type { CleanupReport } from './cleanups.ts'
import type { Budget, TaskFields } from './context.ts'
import { type InjectedFault, runsUnder } from './injected-fault.ts'
import type { Outcome } from './outcome.ts'
import { type RecordedSpan, recordSpans } from './recorded-spans.ts'
import { runBatchTasks } from './run-task.ts'
import type { Stage } from './stage.ts'
import type { RunOptions, Task } from './task.ts'
import type { TaskTeller } from './told.ts'

/** What a test may say of the task; everything has a default. */
export type TestTask = Partial<TaskFields> &
  RunOptions & {
    readonly signal?: AbortSignal
    readonly timeoutMs?: number
    readonly notAfter?: number
    readonly budget?: (name: string) => Budget
  }

export type TestResult = {
  readonly outcome: Outcome
  /** Log lines as objects, in order. */
  readonly logs: readonly Readonly<Record<string, unknown>>[]
  readonly spans: readonly RecordedSpan[]
  readonly cleanups: readonly CleanupReport[]
  readonly progress: readonly { readonly done: number; readonly total: number | undefined }[]
  readonly events: readonly { readonly name: string; readonly data: unknown }[]
  readonly artifacts: readonly {
    readonly name: string
    readonly mediaType: string
    readonly content: Buffer
  }[]
  /** True where the handler did not return in its grace time. */
  readonly isDetached: boolean
}

/**
 * Runs a stage as the engine does, without Kafka: the same contracts, timeouts, interceptors and
 * cleanups. Inputs go through JSON first, as messages do.
 */
export function testStage(stage: Stage): {
  run(input: unknown, given?: TestTask): Promise<TestResult>
  runBatch(inputs: readonly unknown[], given?: TestTask): Promise<readonly TestResult[]>
  /** The task under a fault: the result of each of its runs, one after the other. */
  withFault(fault: InjectedFault, input: unknown, given?: TestTask): Promise<readonly TestResult[]>
} {
  const runBatch = async (inputs: readonly unknown[], given: TestTask = {}) => {
    const parts = inputs.map((input) => toTask(stage, input, given))
    const { value, spans } = await recordSpans(`${stage.ref} process`, (span) =>
      runBatchTasks(
        stage,
        parts.map(({ task }) => ({ ...task, span })),
        given,
      ),
    )
    return value.map(({ outcome, cleanups, detached }, i) => ({
      outcome,
      logs: parts[i]?.logs ?? [],
      spans,
      cleanups,
      progress: parts[i]?.progress ?? [],
      events: parts[i]?.events ?? [],
      artifacts: parts[i]?.artifacts ?? [],
      isDetached: detached !== null,
    }))
  }
  const run = async (input: unknown, given?: TestTask) => {
    const [result] = await runBatch([input], given)
    return result as TestResult
  }
  return {
    run,
    runBatch,
    async withFault(fault, input, given) {
      const results: TestResult[] = []
      for (const change of runsUnder(fault)) results.push(await run(input, { ...given, ...change }))
      return results
    },
  }
}

function toTask(stage: Stage, input: unknown, given: TestTask) {
  const { signal, timeoutMs, notAfter, budget, clock, graceMs: _, cleanupMs: __, ...some } = given
  const logs: Record<string, unknown>[] = []
  const progress: { done: number; total: number | undefined }[] = []
  const events: { name: string; data: unknown }[] = []
  const artifacts: { name: string; mediaType: string; content: Buffer }[] = []
  const teller: TaskTeller = {
    event(name, json) {
      if (json === null || events.length >= limits.eventsPerAttempt) return false
      events.push({ name, data: json === undefined ? undefined : JSON.parse(json) })
      return true
    },
    artifact: async (artifact) => void artifacts.push(artifact),
  }
  const fields: TaskFields = {
    tenant: 'test',
    job: '00000000-0000-7000-8000-000000000001',
    run: 1,
    pipeline: 'test',
    step: stage.name,
    item: '',
    attempt: 1,
    correlationId: 'test',
    idempotencyKey: idempotencyKeyOf('test', 'test', stage.name, given.item ?? '', 0),
    priority: defaults.priority,
    isReplay: false,
    config: {},
    ...some,
  }
  const task: Task = {
    input: input === undefined ? null : JSON.parse(JSON.stringify(input)),
    fields,
    notAfter: notAfter ?? (clock?.now() ?? Date.now()) + 3_600_000,
    timeoutMs: timeoutMs ?? stage.timeoutMs ?? defaults.timeoutMs,
    log: pino({ level: 'trace', base: null }, { write: (line) => logs.push(JSON.parse(line)) }),
    onProgress: (done, total) => progress.push({ done, total }),
    teller: () => teller,
    ...(signal && { signal }),
    ...(budget && { budget }),
  }
  return { task, logs, progress, events, artifacts }
}
