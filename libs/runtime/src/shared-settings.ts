import type { Config } from './config.ts'
import { flag, list, oneOf, optional, ratio, secret, text, url, whole } from './settings.ts'

const BROKER = /^[^\s:]+:\d{1,5}$/

/** How every process reaches Kafka. */
export const kafkaSettings = {
  kafkaBrokers: list('WEIR_KAFKA_BROKERS', { item: BROKER }),
  prefix: text('WEIR_PREFIX', { default: 'weir', pattern: /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/ }),
  kafkaTls: flag('WEIR_KAFKA_TLS', { default: false }),
  /** PEM; `_FILE` is the usual way. */
  kafkaTlsCa: optional(secret('WEIR_KAFKA_TLS_CA')),
  kafkaTlsCert: optional(secret('WEIR_KAFKA_TLS_CERT')),
  kafkaTlsKey: optional(secret('WEIR_KAFKA_TLS_KEY')),
  kafkaSaslMechanism: optional(
    oneOf('WEIR_KAFKA_SASL_MECHANISM', ['plain', 'scram-sha-256', 'scram-sha-512']),
  ),
  kafkaSaslUsername: optional(text('WEIR_KAFKA_SASL_USERNAME')),
  kafkaSaslPassword: optional(secret('WEIR_KAFKA_SASL_PASSWORD')),
} as const

/** How a service reaches Postgres; stages do not. */
export const postgresSettings = {
  /** Holds a password, hence a secret. */
  postgresUrl: secret('WEIR_POSTGRES_URL'),
  postgresTlsCa: optional(secret('WEIR_POSTGRES_TLS_CA')),
} as const

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

export type KafkaConnection = {
  readonly brokers: readonly string[]
  readonly ssl?: boolean | { ca?: string; cert?: string; key?: string }
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  }
}

/** What the Kafka library's `connectKafka` takes, apart from the client's name and logger. */
export function toKafkaConnection(config: Config<typeof kafkaSettings>): KafkaConnection {
  const { kafkaTlsCa: ca, kafkaTlsCert: cert, kafkaTlsKey: key } = config
  const hasFiles = ca !== undefined || cert !== undefined || key !== undefined
  const mechanism = config.kafkaSaslMechanism
  return {
    brokers: config.kafkaBrokers,
    ...(config.kafkaTls || hasFiles
      ? {
          ssl: hasFiles ? { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } : true,
        }
      : {}),
    ...(mechanism === undefined
      ? {}
      : {
          sasl: {
            mechanism,
            username: config.kafkaSaslUsername ?? '',
            password: config.kafkaSaslPassword ?? '',
          },
        }),
  }
}
