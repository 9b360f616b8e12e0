export { type Bell, createBell } from './bell.ts'
export { type Config, ConfigError, readConfig } from './config.ts'
export {
  kafkaSettings,
  postgresSettings,
  toKafkaConnection,
  toPostgresConnection,
} from './connection-settings.ts'
export { withDeadline } from './deadline.ts'
export { createHealth, type ReadyCheck } from './health.ts'
export { startHealthServer } from './health-server.ts'
export { runService } from './lifecycle.ts'
export { type LogContext, withLogContext } from './log-context.ts'
export { createLogger, type Logger, traceIds } from './logger.ts'
export { createMetrics, LONG_SECONDS, type Metrics } from './metrics.ts'
export { toProblem } from './problem.ts'
export { oneOf, optional, secret, text, url, whole } from './settings.ts'
export { httpSettings, logSettings } from './shared-settings.ts'
export { failSpan, isSampled, parseTraceparent, startSpan, traceparentOf } from './spans.ts'
