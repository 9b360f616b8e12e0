import { SpanStatusCode } from '@opentelemetry/api'
import type { Logger } from '@weir/runtime'
import type { Refusals } from '../flow/refusals.ts'
import type { ControlMetrics } from '../metrics.ts'
import type { App } from './type-provider.ts'

/** Ends the server span and writes one line and one count per request, of allow-listed fields. */
export function addRequestLog(
  app: App,
  log: Logger,
  metrics: ControlMetrics,
  refusals: Refusals,
): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { scope, method, routeOptions } = request
    const route = routeOptions.url ?? 'unmatched'
    const status = String(reply.statusCode)
    const ms = Math.round((performance.now() - scope.startedAtMs) * 10) / 10
    metrics.requests.inc({ route: `${method} ${route}`, status })
    metrics.requestSeconds.observe({ route: `${method} ${route}` }, ms / 1_000)
    const { span, caller, refusal } = scope
    if (refusal !== undefined) {
      metrics.backpressure.inc({ ...refusal, code: scope.problem ?? '' })
      refusals.note(caller, refusal.cause)
    }
    span.setAttribute('http.response.status_code', reply.statusCode)
    if (scope.jobId !== undefined) span.setAttribute('weir.job.id', scope.jobId)
    if (caller?.tenant !== undefined) span.setAttribute('weir.tenant.id', caller.tenant.id)
    if (reply.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end()
    const fields = {
      request: scope.requestId,
      correlation: scope.correlationId,
      method,
      route,
      status: reply.statusCode,
      ms,
      code: scope.problem,
      actor: caller?.actor,
      tenant: caller?.tenant?.id,
      job: scope.jobId,
    }
    if (routeOptions.config.isQuiet === true) log.debug(fields, 'request')
    else log.info(fields, 'request')
    done()
  })
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asked all the time by machines: logged for debugging only. */
    readonly isQuiet?: boolean
  }
}
