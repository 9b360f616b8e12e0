import {
  httpSettings,
  kafkaSettings,
  logSettings,
  optional,
  postgresSettings,
  secret,
  url,
  whole,
} from '@weir/runtime'

/** What the control service reads from its environment. */
export const controlSettings = {
  ...kafkaSettings,
  ...postgresSettings,
  ...httpSettings,
  httpPort: whole('WEIR_HTTP_PORT', { default: 8080, min: 0, max: 65_535 }),
  ...logSettings,
  /** 32 bytes or more as base64url; stage keys are derived from it. */
  masterKey: secret('WEIR_MASTER_KEY'),
  operatorKey: secret('WEIR_OPERATOR_KEY'),
  /** For the links that operators get with a job. */
  jaegerUrl: optional(url('WEIR_JAEGER_URL', ['http:', 'https:'])),
  /** Of the topics that control makes; default the brokers' own. */
  topicReplication: optional(whole('WEIR_KAFKA_REPLICATION', { min: 1, max: 32 })),
  topicInSyncMin: optional(whole('WEIR_KAFKA_MIN_IN_SYNC', { min: 1, max: 32 })),
  poolSize: whole('WEIR_POSTGRES_POOL', { default: 10, min: 2, max: 200 }),
} as const
