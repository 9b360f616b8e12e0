import type { ConnectionOptions } from 'node:tls'
import { KafkaError } from './errors.ts'
import { type ConnectionKind, explainConnection } from './explain.ts'
import {
  type ClientLogger,
  Cluster,
  createLogger,
  createSocketFactory,
  InstrumentationEmitter,
  LEVELS,
} from './internals.ts'
import { patchConnection } from './patches/connection.ts'
import { patchRequestQueue } from './patches/request-queue.ts'

/** The part of a pino logger that is used. */
export type KafkaLog = {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

export type KafkaSasl = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export type KafkaConfig = {
  /** `host:port` each. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl?: boolean | ConnectionOptions
  readonly sasl?: KafkaSasl
  readonly log?: KafkaLog
  /** How long a connection may take to open; default 3 s. */
  readonly connectTimeoutMs?: number
  /** How long an answer may take; default 30 s. */
  readonly requestTimeoutMs?: number
}

/** A connection configuration with which consumers, readers, producers and admins are made. */
export type Kafka = {
  readonly clientId: string
  readonly log: KafkaLog
  readonly clientLog: ClientLogger
  /** What to do about an error of a connection, where it shows that; else undefined. */
  explain(error: unknown): string | undefined
  /** Opens nothing yet. Each consumer, reader, producer and admin has a cluster of its own. */
  createCluster(options?: { readonly metadataMaxAgeMs?: number }): Cluster
}

/**
 * Retries inside the client are few on purpose: they cannot be stopped. Whoever must survive an
 * outage (consumer, reader, producer) retries around them for ever, and can be stopped.
 */
export const CLIENT_RETRY = { initialRetryTime: 100, maxRetryTime: 1000, retries: 3 } as const

const SILENT: KafkaLog = { debug() {}, info() {}, warn() {}, error() {} }

/** Prepares a connection; nothing is opened before a consumer, reader, producer or admin is made. */
export function connectKafka(config: KafkaConfig): Kafka {
  if (config.brokers.length === 0) throw new Error('connectKafka: no broker is given')
  patchRequestQueue()
  patchConnection()
  const log = config.log ?? SILENT
  const how: ConnectionKind = {
    brokers: config.brokers,
    isEncrypted: config.ssl !== undefined && config.ssl !== false,
    username: config.sasl?.username,
  }
  const connections = { haveWorked: false }
  if (how.username !== undefined && !how.isEncrypted)
    log.warn({ brokers: config.brokers }, 'SASL without TLS: what is sent can be read on its way')
  const clientLog = createLogger({
    level: LEVELS.WARN,
    // The client reports every refused answer and every attempt of an outage as an error, also those
    // that are part of the protocol. What matters is reported by whoever retries around it.
    logCreator: () => (entry) => {
      const { message, timestamp: _, logger: __, stack: ___, ...fields } = entry.log
      log.debug({ kafka: scalars(fields) }, `${entry.namespace}: ${String(message)}`)
    },
  })
  const socketFactory = createSocketFactory()
  return {
    clientId: config.clientId,
    log,
    clientLog,
    explain: (error) => explainConnection(error, how)?.sentence,
    createCluster: ({ metadataMaxAgeMs = 60_000 } = {}) => {
      const cluster = new Cluster({
        logger: clientLog,
        socketFactory,
        brokers: [...config.brokers],
        ssl: config.ssl,
        sasl: config.sasl,
        clientId: config.clientId,
        connectionTimeout: config.connectTimeoutMs ?? 3000,
        requestTimeout: config.requestTimeoutMs ?? 30_000,
        enforceRequestTimeout: true,
        metadataMaxAge: metadataMaxAgeMs,
        retry: CLIENT_RETRY,
        allowAutoTopicCreation: false,
        maxInFlightRequests: null,
        instrumentationEmitter: new InstrumentationEmitter(),
        isolationLevel: 0,
      })
      const connect = cluster.connect.bind(cluster)
      let connecting: Promise<void> | undefined
      const connectOnce = async () => {
        try {
          await connect()
          connections.haveWorked = true
        } catch (error) {
          const explanation = explainConnection(error, how)
          // What has worked before is an outage, for example while certificates are changed: whoever
          // retries goes on. At the start it is a mistake that no repetition heals.
          if (explanation?.isCertain !== true || connections.haveWorked) throw error
          throw new KafkaError('unauthorized', explanation.sentence, error)
        }
      }
      // Once however many ask at once: the client would open a connection for each, and know only the
      // last of them when it closes.
      cluster.connect = () => {
        connecting ??= connectOnce().finally(() => {
          connecting = undefined
        })
        return connecting
      }
      return cluster
    },
  }
}

/** What the client adds to a line may hold whole requests: only plain values are passed on. */
function scalars(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== Object(value) && value !== undefined),
  )
}

const TELL_AT_ATTEMPT = 3

/** One warning for an outage, when it has lasted some attempts; the rest is for debugging. */
export function logRetry(
  { log, explain }: Pick<Kafka, 'log' | 'explain'>,
  error: unknown,
  attempt: number,
  doing: string,
  fields: object = {},
): void {
  const hint = attempt === TELL_AT_ATTEMPT ? explain(error) : undefined
  const line = { err: error, attempt, ...(hint && { hint }), ...fields }
  if (attempt === TELL_AT_ATTEMPT) log.warn(line, `${doing} keeps failing, trying on`)
  else log.debug(line, `${doing} failed, trying again`)
}
