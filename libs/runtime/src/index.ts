export { type Bell, createBell } from './bell.ts'
export { type Config, ConfigError, readConfig, type Settings } from './config.ts'
export {
  type KafkaConnection,
  kafkaSettings,
  type PostgresConnection,
  postgresSettings,
  type TlsOptions,
  toKafkaConnection,
  toPostgresConnection,
} from './connection-settings.ts'
export { DeadlineError, withDeadline } from './deadline.ts'
export { createHealth, type Health, type HealthReport, type ReadyCheck } from './health.ts'
export { type HealthServer, startHealthServer } from './health-server.ts'
export { type RunningService, runService, type ServiceContext } from './lifecycle.ts'
export { currentLogContext, type LogContext, withLogContext } from './log-context.ts'
export { serializeError, toLogFields } from './log-fields.ts'
export {
  createLogger,
  droppedLogLines,
  flushLogs,
  type Logger,
  type LoggerOptions,
  traceIds,
} from './logger.ts'
export {
  type CounterMetric,
  createMetrics,
  type GaugeMetric,
  type HistogramMetric,
  type LabelSpecs,
  type Labels,
  type LabelValues,
  LONG_SECONDS,
  type Metrics,
  SECONDS,
} from './metrics.ts'
export { type Problem, toProblem } from './problem.ts'
export {
  flag,
  list,
  oneOf,
  optional,
  ratio,
  type Setting,
  secret,
  text,
  url,
  whole,
} from './settings.ts'
export { httpSettings, logSettings, telemetrySettings } from './shared-settings.ts'
export {
  activeTraceparent,
  failSpan,
  formatTraceparent,
  isSampled,
  parseTraceparent,
  type SpanOptions,
  startSpan,
  traceparentOf,
  withSpan,
} from './spans.ts'
export {
  isTelemetryOn,
  shutdownTelemetry,
  type TelemetryStats,
  telemetryStats,
} from './telemetry.ts'
