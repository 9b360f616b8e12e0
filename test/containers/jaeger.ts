import { createJaegerApi } from '../support/jaeger-api.ts'
import type { ExportedSpan } from '../support/otlp-protobuf.ts'

/** Spans of a trace, as far as Jaeger has them by now. */
export function readTrace(jaeger: string, traceId: string): Promise<readonly ExportedSpan[]> {
  return createJaegerApi(jaeger).trace(traceId)
}
