/** Of so many traces the oldest go first: some 300 MB when it is full. */
const TRACES_MAX = 10_000

export type JaegerPorts = {
  /** Web pages and query API. */
  readonly http: number
  readonly grpc: number
  /** OTLP over HTTP. */
  readonly otlp: number
  readonly health: number
}

/** The configuration file of a Jaeger that keeps its traces in memory. */
export function writeJaegerConfig(ports: JaegerPorts, host = '127.0.0.1'): string {
  const at = (port: number): string => JSON.stringify(`${host}:${port}`)
  return `service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces: { receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter] }
  telemetry:
    metrics: { level: none }
    logs: { level: warn }
extensions:
  healthcheckv2: { use_v2: true, http: { endpoint: ${at(ports.health)} } }
  jaeger_query:
    storage: { traces: main }
    http: { endpoint: ${at(ports.http)} }
    grpc: { endpoint: ${at(ports.grpc)} }
  jaeger_storage:
    backends:
      main: { memory: { max_traces: ${TRACES_MAX} } }
receivers:
  otlp: { protocols: { http: { endpoint: ${at(ports.otlp)} } } }
processors: { batch: {} }
exporters: { jaeger_storage_exporter: { trace_storage: main } }
`
}
