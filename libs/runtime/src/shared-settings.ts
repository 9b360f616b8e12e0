import { oneOf, optional, ratio, text, url, whole } from './settings.ts'

export const httpSettings = {
  httpHost: text('WEIR_HTTP_HOST', { default: '127.0.0.1' }),
  httpPort: whole('WEIR_HTTP_PORT', { default: 0, min: 0, max: 65_535 }),
} as const

export const logSettings = {
  logLevel: oneOf(
    'WEIR_LOG_LEVEL',
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    {
      default: 'info',
    },
  ),
} as const

export const telemetrySettings = {
  /** Base address of an OTLP/HTTP collector; unset: no telemetry. */
  otlpUrl: optional(url('WEIR_OTLP_URL', ['http:', 'https:'])),
  traceRatio: ratio('WEIR_TRACE_RATIO', { default: 1 }),
  serviceName: text('WEIR_SERVICE_NAME', { default: 'weir' }),
  instanceId: optional(text('WEIR_INSTANCE_ID', { lengthMax: 128 })),
} as const
