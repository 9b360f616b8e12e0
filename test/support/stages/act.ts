import { appendFileSync, existsSync } from 'node:fs'
import { runStage } from '@weir/engine'
import { createLogger } from '@weir/runtime'
import { defineStage, Permanent, type StageContext, Transient } from '@weir/sdk'
import { stageName } from './stage-name.ts'

/**
 * A stage that does what it is told: by its step's config, `do` and the members that go with it, or
 * by its input where that has a `do` of its own (elements of a fan-out). With `log` in the config
 * each attempt leaves a line in that file before anything else.
 */
type Told = {
  readonly do?: keyof typeof deeds
  readonly log?: string
  readonly bar?: string
  readonly ms?: number
  readonly n?: number
  readonly failures?: number
  readonly code?: string
  readonly retryAfterMs?: number
  readonly hasty?: boolean
}

type Input = { readonly [key: string]: unknown }

/** Waits, and ends early with the signal's reason; says whether it has waited to the end. */
const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

const note = (told: Told, ctx: StageContext, what: string) => {
  if (told.log === undefined) return
  const { tenant, job, run, step, item, attempt, idempotencyKey } = ctx
  const by = { at: Date.now(), pid: process.pid }
  const line = { what, ...by, tenant, job, run, step, item, attempt, idempotencyKey }
  appendFileSync(told.log, `${JSON.stringify(line)}\n`)
}

/** A library's own logger, which has heard of no task. */
const aside = createLogger({ service: 'aside' })

const deeds = {
  echo: (input: unknown) => input,
  double: (input: unknown) => (input as number) * 2,
  add: (input: unknown, told: Told) => (input as number) + (told.n ?? 1),
  range: (input: unknown, told: Told) =>
    Array.from({ length: told.n ?? Number(input) }, (_, index) => index),
  /** An array of arrays: `n` times what `range` gives. */
  grid: (input: unknown, told: Told) =>
    Array.from({ length: Number(input) }, () =>
      Array.from({ length: told.n ?? 3 }, (_, index) => index),
    ),
  sum: (input: unknown) => (input as number[]).reduce((sum, value) => sum + value, 0),
  count: (input: unknown, _: Told, ctx: StageContext) => ({
    items: (input as unknown[]).length,
    manifest: ctx.manifest ?? null,
  }),
  /** Inputs of a join by name, and what is missing. */
  join: (input: unknown, _: Told, ctx: StageContext) => ({
    inputs: input,
    missing: ctx.join?.missing ?? [],
  }),
  slow: async (input: unknown, told: Told, ctx: StageContext) => {
    await wait(told.ms ?? 500, ctx.signal)
    return input
  },
  /** Takes `ms`, and as long as the file `bar` is there: a stage that stands still goes on. */
  barred: async (input: unknown, told: Told, ctx: StageContext) => {
    while (told.bar !== undefined && existsSync(told.bar)) await wait(20, ctx.signal)
    await wait(told.ms ?? 0, ctx.signal)
    return input
  },
  /** Does not listen to its signal. */
  stubborn: async (input: unknown, told: Told) => {
    await new Promise((resolve) => setTimeout(resolve, told.ms ?? 500))
    return input
  },
  /** Slow, with three cleanups; the second one fails. */
  careful: async (input: unknown, told: Told, ctx: StageContext) => {
    for (const name of ['first', 'second', 'third']) {
      ctx.onCleanup(() => {
        note(told, ctx, `cleanup ${name}`)
        if (name === 'second') throw new Error('a cleanup that fails')
      })
    }
    await wait(told.ms ?? 500, ctx.signal)
    note(told, ctx, 'done')
    return input
  },
  /** Says `n` times how far it has come, with `ms` between. */
  progress: async (input: unknown, told: Told, ctx: StageContext) => {
    const total = told.n ?? 3
    for (let done = 1; done <= total; done += 1) {
      ctx.progress(done, total)
      if (told.ms !== undefined && done < total) await wait(told.ms, ctx.signal)
    }
    return input
  },
  /** Says `n` things, with `ms` between; `hasty`: without waiting for any to be taken. */
  tell: async (input: unknown, told: Told, ctx: StageContext) => {
    for (let n = 1; n <= (told.n ?? 3); n += 1) {
      const taken = ctx.event('row.read', { row: n })
      if (told.hasty !== true) await taken
      if (told.ms !== undefined) await wait(told.ms, ctx.signal)
    }
    return input
  },
  /** Makes a text, some bytes and a table, and says something before and after. */
  make: async (input: unknown, _: Told, ctx: StageContext) => {
    void ctx.event('make.begun')
    const text = ctx.artifact('report.txt', `attempt ${ctx.attempt}: grün`)
    await ctx.artifact('raw.bin', Buffer.from([0, 255, 10, 13]), { mediaType: 'image/x-raw' })
    void ctx.artifact('rows.json', [{ a: 1 }])
    await text
    void ctx.event('make.ended', { input })
    if (ctx.attempt === 1) throw new Transient('again', 'once more')
    return ctx.attempt
  },
  /** Makes `n` bytes too many; nobody waits for it. */
  oversize: (input: unknown, told: Told, ctx: StageContext) => {
    void ctx.artifact('huge.txt', 'x'.repeat(1024 * 1024 + (told.n ?? 1)))
    return input
  },
  flaky: (input: unknown, told: Told, ctx: StageContext) => {
    if (ctx.attempt <= (told.failures ?? 1)) {
      const after = told.retryAfterMs === undefined ? {} : { retryAfterMs: told.retryAfterMs }
      throw new Transient('flaky', `attempt ${ctx.attempt} fails`, after)
    }
    return { input, attempt: ctx.attempt }
  },
  fail: async (_: unknown, told: Told, ctx: StageContext) => {
    if (told.ms !== undefined) await wait(told.ms, ctx.signal)
    throw new Permanent(told.code ?? 'broken', 'it is broken')
  },
  skip: (_: unknown, __: Told, ctx: StageContext) => ctx.skip('not needed'),
  cancel: (_: unknown, __: Told, ctx: StageContext) => ctx.cancel('no longer wanted'),
  /** No outcome that anyone knows. */
  nonsense: () => () => 'a function is not JSON',
  /** Writes a long line. */
  loud: (input: unknown, _: Told, ctx: StageContext) => {
    ctx.log.info({ text: 'x'.repeat(1_000) }, 'loud')
    return input
  },
  /** Its output holds the input, and something that JSON does not know. */
  dated: (input: unknown) => ({ input, at: new Date(0) }),
  /** Node's own error quotes the whole text, where that of JSON.parse quotes ten characters. */
  parse: (input: unknown) => String(BigInt(String((input as Input).text))),
  mutate: (input: unknown) => {
    ;(input as { changed?: boolean }).changed = true
    return input
  },
  /** Reads an input for which the step has no edge. */
  peek: (input: unknown) => (input as Input).nowhere,
  random: () => Math.random(),
  /** Writes six lines, three of them past its context, with all kinds of waiting in between. */
  chat: async (input: unknown, told: Told, ctx: StageContext) => {
    const line = `chat: ${ctx.job} ${ctx.step} ${ctx.attempt}`
    aside.info(line)
    ctx.log.info(line)
    await wait(1 + Math.random() * 20, ctx.signal)
    aside.info(line)
    ctx.onCleanup(() => ctx.log.info(line))
    const soon = Promise.withResolvers<void>()
    setImmediate(() => {
      aside.info(line)
      soon.resolve()
    })
    await Promise.all([soon.promise, wait(Math.random() * 5, ctx.signal)])
    ctx.log.info(line)
    if (ctx.attempt <= (told.failures ?? 0)) throw new Transient('chat', 'it talks too much')
    return input
  },
  who: (_: unknown, __: Told, ctx: StageContext) => {
    const { tenant, job, run, step, item, attempt, correlationId, idempotencyKey } = ctx
    ctx.log.info('asked who it is')
    return { tenant, job, run, step, item, attempt, correlationId, idempotencyKey }
  },
}

function toldBy(input: unknown, ctx: StageContext): Told {
  const isTold =
    ctx.join === undefined && typeof input === 'object' && input !== null && 'do' in input
  return isTold ? { ...ctx.config, ...(input as Told) } : ctx.config
}

await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    concurrency: 64,
    run(input, ctx) {
      const told = toldBy(input, ctx)
      note(told, ctx, 'start')
      return deeds[told.do ?? 'echo'](input, told, ctx)
    },
  }),
)
