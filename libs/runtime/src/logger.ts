import { isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api'
import pino, { type DestinationStream, type Logger as PinoLogger } from 'pino'
import { currentLogContext } from './log-context.ts'
import { toLogFields } from './log-fields.ts'
import { createLossTally } from './loss-tally.ts'
import { parseTraceparent } from './spans.ts'

export type Logger = PinoLogger

export type LoggerOptions = {
  /** Name of the process, in every line. */
  readonly service: string
  readonly level?: string
  /** Default: standard output, through a bounded buffer. */
  readonly destination?: DestinationStream
}

const BUFFER_MAX_BYTES = 4 * 1024 * 1024

let droppedLines = 0
const losses = createLossTally()
/** The latest logger of standard output: says what was lost of it. */
let teller: Logger | undefined
/** Standard output, once per process: two buffers before it would mix up the order of lines. */
let output: ReturnType<typeof pino.destination> | undefined
const DRAIN_CAP_MS = 1_000
/** From then on nobody waits for the reader: set when the process ends. */
let giveUpAtMs = Number.POSITIVE_INFINITY

/**
 * One JSON line per event, with the active span and the log context in it. Writing never blocks
 * work: what standard output does not take is buffered up to 4 MiB, then dropped and counted.
 */
export function createLogger(options: LoggerOptions): Logger {
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: { service: options.service },
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin,
      formatters: {
        level: (label) => ({ level: label }),
        log: toLogFields,
      },
      serializers: { err: (error: unknown) => error },
    },
    options.destination ?? openOutput(),
  )
  if (options.destination === undefined) teller = logger
  return logger
}

/** Lines that the bounded buffers of this process have dropped. */
export function droppedLogLines(): number {
  return droppedLines
}

/**
 * Writes out what is buffered, in order; waits for at most a second, and what its reader has not taken
 * by then it never gets: at the exit it would be waited for without end. For an orderly end.
 */
export async function drainLogs(): Promise<void> {
  const draining = output
  if (draining === undefined) return
  tellLoss(true)
  giveUpAtMs = performance.now() + DRAIN_CAP_MS
  let timer: NodeJS.Timeout | undefined
  const isDrained = await new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, DRAIN_CAP_MS, false)
    draining.once('drain', () => resolve(true))
    draining.flush()
  })
  clearTimeout(timer)
  if (!isDrained) giveUp()
}

/**
 * Writes out what is buffered, at once: for a process that ends now. Its reader is waited for for at
 * most a second. Lines of which the writing is under way come after those written here.
 */
export function flushLogs(): void {
  output?.flushSync()
}

/** The exit flushes once more, and would wait for as long as nobody reads. */
function giveUp(): void {
  if (output !== undefined) Object.assign(output, { write: () => true, flushSync: () => {} })
}

/** Flushes for at most a second. Pino does so too, after a fatal line and at the exit. */
function boundFlush(flushSync: () => void): () => void {
  return () => {
    giveUpAtMs = performance.now() + DRAIN_CAP_MS
    try {
      flushSync()
      giveUpAtMs = Number.POSITIVE_INFINITY
    } catch {
      // Standard output is gone, or nobody reads it: there is nowhere left to say so.
      giveUp()
    }
  }
}

function mixin(_fields: object, _level: number, logger: Logger): object {
  const context = currentLogContext()
  const active = trace.getActiveSpan()?.spanContext()
  const span =
    active !== undefined && isSpanContextValid(active)
      ? active
      : parseTraceparent(context?.traceparent)
  if (context === undefined) return idsOf(span)
  const { traceparent: _, ...known } = context
  const fields: Record<string, unknown> = { ...known, ...idsOf(span) }
  // What the logger itself is bound to is closer, and a key must not stand in a line twice.
  for (const bound of Object.keys(logger.bindings())) delete fields[bound]
  return fields
}

/** Trace and span as lines name them, for a logger that is bound to a message. */
export function traceIds(traceparent: string): object {
  return idsOf(parseTraceparent(traceparent))
}

function idsOf(span: SpanContext | undefined): object {
  if (span === undefined) return {}
  return {
    trace_id: span.traceId,
    span_id: span.spanId,
    trace_flags: span.traceFlags.toString(16).padStart(2, '0'),
  }
}

/** In the log itself, once its reader has taken what was buffered. */
function tellLoss(isLast = false): void {
  const loss = losses.take(isLast)
  if (loss !== undefined) teller?.warn({ signal: 'logs', ...loss }, 'lines of this log were lost')
}

function openOutput(): DestinationStream {
  if (output !== undefined) return output
  output = pino.destination({
    // That it is asked for makes a pipe non-blocking: a write that blocks holds a thread, and the
    // process would not end before its reader reads.
    dest: process.stdout.fd,
    sync: false,
    // With 0, its default, a flush waits for nothing.
    minLength: 1,
    maxLength: BUFFER_MAX_BYTES,
    retryEAGAIN: () => performance.now() < giveUpAtMs,
  })
  output.flushSync = boundFlush(output.flushSync.bind(output))
  output.on('drop', () => {
    droppedLines += 1
    losses.note('buffer_full', 1)
  })
  output.on('drain', () => tellLoss())
  // A reader that went away (EPIPE) must not take the process with it.
  output.on('error', () => {})
  return output
}
