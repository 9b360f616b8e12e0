import { hash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { WeirError } from '@weir/contracts'
import type { InputAnswer, InputFault, InputQuestion } from './input-worker.ts'

/** Of the processor: a tenant's schema may compile, or check one portion of inputs, for this long. */
const KILL_AFTER_MS = 250
/** However little of it the thread was given: others wait behind it. */
const KILL_AT_LAST_MS = 5_000
/** A thread answers at once what it has used, whatever it does, unless it gets no time for that either. */
const ANSWER_MS = 250
const LOOK_AGAIN_MS = 20
/** A first use pays for starting the thread and loading the compiler; that is not the tenant's time. */
const START_MS = 10_000
const WAITING_MAX = 2_000
const PORTION_BYTES = 256 * 1024
/** A schema that was killed is refused at once for this long, so that it cannot hold the thread. */
const STRUCK_MS = 10_000
const STRUCK_MAX = 1_000

export type InputVerdict = readonly (readonly InputFault[])[]

export type InputChecker = {
  /** Why a schema that keeps the budget still does not compile, or undefined where it does. */
  compile(schema: string): Promise<string | undefined>
  /** The faults of each input (JSON text) under a schema (JSON text); empty lists are valid inputs. */
  check(schema: string, inputs: readonly string[]): Promise<InputVerdict>
  close(): Promise<void>
}

type Task = {
  readonly question: InputQuestion
  readonly resolve: (answer: InputAnswer | 'killed') => void
  readonly reject: (error: unknown) => void
}

/**
 * Compiles and runs tenants' schemas in worker threads that are killed when a question takes too
 * long: a schema is as trusted as code. What counts is the thread's time on the processor: on a busy
 * machine a schema of no fault would be refused else. Each schema always goes to the same thread, so a
 * slow one keeps at most the schemas waiting that share its thread, for 250 ms of work.
 */
export function createInputChecker(threads = 2): InputChecker {
  const lanes = Array.from({ length: threads }, () => new Lane())
  const struck = new Map<string, number>()

  async function ask(schema: string, inputs: readonly string[]): Promise<InputAnswer | 'killed'> {
    const schemaId = hash('sha256', schema)
    if ((struck.get(schemaId) ?? 0) > Date.now()) return 'killed'
    const lane = lanes[Number.parseInt(schemaId.slice(0, 4), 16) % lanes.length] as Lane
    const answer = await lane.ask({ schemaId, schema, inputs })
    if (answer === 'killed') {
      struck.delete(schemaId)
      struck.set(schemaId, Date.now() + STRUCK_MS)
      if (struck.size > STRUCK_MAX) struck.delete(struck.keys().next().value as string)
    }
    return answer
  }

  return {
    async compile(schema) {
      const answer = await ask(schema, [])
      if (answer === 'killed') return `takes longer than ${KILL_AFTER_MS} ms to compile`
      return 'schemaFault' in answer ? answer.schemaFault : undefined
    },
    async check(schema, inputs) {
      const faults: (readonly InputFault[])[] = []
      for (const portion of portionsOf(inputs)) {
        const answer = await ask(schema, portion)
        if (answer === 'killed') return [...faults, ...portion.map(() => [TOO_COSTLY])]
        if ('schemaFault' in answer) throw new Error(`a published schema: ${answer.schemaFault}`)
        faults.push(...answer.faults)
        if (faults.some((one) => one.length > 0)) return faults
      }
      return faults
    },
    async close() {
      await Promise.all(lanes.map((lane) => lane.close()))
    },
  }
}

const TOO_COSTLY: InputFault = {
  path: '',
  code: 'too_costly',
  message: `takes longer than ${KILL_AFTER_MS} ms to check`,
}

function* portionsOf(inputs: readonly string[]): Generator<string[]> {
  let portion: string[] = []
  let bytes = 0
  for (const input of inputs) {
    if (portion.length > 0 && bytes + input.length > PORTION_BYTES) {
      yield portion
      portion = []
      bytes = 0
    }
    portion.push(input)
    bytes += input.length
  }
  if (portion.length > 0) yield portion
}

/** Milliseconds on the processor; undefined where the thread does not tell in time. */
async function cpuSince(
  worker: Worker,
  from: NodeJS.CpuUsage | undefined,
): Promise<number | undefined> {
  if (from === undefined) return undefined
  const unanswered = new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), ANSWER_MS).unref()
  })
  const usage = worker.cpuUsage(from).catch(() => undefined)
  const used = await Promise.race([usage, unanswered])
  return used && (used.user + used.system) / 1_000
}

/** One thread and the questions that wait for it; they are asked one at a time. */
class Lane {
  #worker: Worker | undefined
  #started = false
  #current: Task | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  readonly #waiting: Task[] = []

  ask(question: InputQuestion): Promise<InputAnswer | 'killed'> {
    if (this.#closed || this.#waiting.length >= WAITING_MAX) {
      throw new WeirError('unavailable', 'Too many inputs wait to be checked.', { retryAfterS: 1 })
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject })
      this.#next()
    })
  }

  #next(): void {
    if (this.#current !== undefined) return
    const task = this.#waiting.shift()
    if (task === undefined) return
    this.#current = task
    const worker = this.#running()
    worker.ref()
    worker.postMessage(task.question)
    if (this.#started) this.#watch(worker, task)
    else this.#timer = setTimeout(() => void this.#kill('killed'), KILL_AFTER_MS + START_MS)
  }

  /** Ends the thread when the question has used up its time on the processor. */
  #watch(worker: Worker, task: Task): void {
    const from = worker.cpuUsage().catch(() => undefined)
    const startedAt = performance.now()
    const look = async () => {
      const spentMs = (await cpuSince(worker, await from)) ?? 0
      // Answered meanwhile, or ended.
      if (this.#current !== task || this.#worker !== worker) return
      const isOver = performance.now() - startedAt >= KILL_AT_LAST_MS
      if (spentMs >= KILL_AFTER_MS || isOver) {
        void this.#kill('killed')
        return
      }
      this.#timer = setTimeout(look, Math.max(LOOK_AGAIN_MS, KILL_AFTER_MS - spentMs))
    }
    this.#timer = setTimeout(look, KILL_AFTER_MS)
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    this.#started = false
    const worker = new Worker(new URL('./input-worker.ts', import.meta.url), {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16, stackSizeMb: 2 },
    })
    worker.on('message', (answer: InputAnswer) => {
      this.#started = true
      this.#finish((task) => task.resolve(answer))
    })
    // Out of memory, or a fault of ours: either way this question has no answer.
    worker.on('error', () => {
      if (this.#worker === worker) void this.#kill('killed')
    })
    this.#worker = worker
    return worker
  }

  #finish(settle: (task: Task) => void): void {
    clearTimeout(this.#timer)
    const task = this.#current
    this.#current = undefined
    this.#worker?.unref()
    if (task !== undefined) settle(task)
    this.#next()
  }

  async #kill(answer: 'killed'): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#finish((task) => task.resolve(answer))
    await worker?.terminate()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const error = new WeirError('unavailable', 'The service stops.', { retryAfterS: 1 })
    for (const task of this.#waiting.splice(0)) task.reject(error)
    this.#current?.reject(error)
    this.#current = undefined
    await this.#worker?.terminate()
  }
}
