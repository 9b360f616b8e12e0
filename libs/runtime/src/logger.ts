import { isSpanContextValid, type SpanContext, trace } from '@opentelemetry/api'
import pino, { type DestinationStream, type Logger as PinoLogger } from 'pino'
import { currentLogContext } from './log-context.ts'
import { toLogFields } from './log-fields.ts'
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
/** Standard output, once per process: two buffers before it would mix up the order of lines. */
let output: ReturnType<typeof pino.destination> | undefined
const DRAIN_CAP_MS = 1_000

/**
 * One JSON line per event, with the active span and the log context in it. Writing never blocks
 * work: what standard output does not take is buffered up to 4 MiB, then dropped and counted.
 */
export function createLogger(options: LoggerOptions): Logger {
  return pino(
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
}

/** Lines that the bounded buffers of this process have dropped. */
export function droppedLogLines(): number {
  return droppedLines
}

/** Writes out what is buffered, in order; waits for at most a second. For an orderly end. */
export async function drainLogs(): Promise<void> {
  const draining = output
  if (draining === undefined) return
  let timer: NodeJS.Timeout | undefined
  await new Promise<void>((resolve) => {
    timer = setTimeout(resolve, DRAIN_CAP_MS)
    draining.flush(() => resolve())
  })
  clearTimeout(timer)
}

/**
 * Writes out what is buffered, at once: for a process that ends now. Lines of which the writing is
 * under way come after those written here.
 */
export function flushLogs(): void {
  try {
    output?.flushSync()
  } catch {
    // Standard output is gone: there is nowhere left to say so.
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

function openOutput(): DestinationStream {
  if (output !== undefined) return output
  output = pino.destination({ dest: 1, sync: false, maxLength: BUFFER_MAX_BYTES })
  output.on('drop', () => {
    droppedLines += 1
  })
  // A reader that went away (EPIPE) must not take the process with it.
  output.on('error', () => {})
  return output
}
