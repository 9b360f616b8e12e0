import { isSpanContextValid, trace } from '@opentelemetry/api'
import pino, { type DestinationStream, type Logger as PinoLogger } from 'pino'
import { currentLogContext } from './log-context.ts'
import { toLogFields } from './log-fields.ts'

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
const outputs = new Set<{ flushSync(): void }>()

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

/** Writes out what is buffered; for the end of the process. */
export function flushLogs(): void {
  for (const output of outputs) {
    try {
      output.flushSync()
    } catch {
      // Standard output is gone: there is nowhere left to say so.
    }
  }
}

function mixin(): object {
  const context = currentLogContext()
  const span = trace.getActiveSpan()?.spanContext()
  if (span === undefined || !isSpanContextValid(span)) return { ...context }
  return {
    ...context,
    trace_id: span.traceId,
    span_id: span.spanId,
    trace_flags: span.traceFlags.toString(16).padStart(2, '0'),
  }
}

function openOutput(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: false, maxLength: BUFFER_MAX_BYTES })
  output.on('drop', () => {
    droppedLines += 1
  })
  // A reader that went away (EPIPE) must not take the process with it.
  output.on('error', () => {})
  outputs.add(output)
  return output
}
