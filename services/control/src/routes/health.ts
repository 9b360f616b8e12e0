import { createHealth } from '@weir/runtime'
import { Type } from 'typebox'
import type { Control } from '../control.ts'
import type { App } from '../http/type-provider.ts'

/** Is it alive, can it serve, how is it doing, what can it do? */
export function addHealthRoutes(app: App, { checks, metrics, closing }: Control): void {
  const health = createHealth()
  health.add(...checks)
  closing.addEventListener('abort', () => health.stop(), { once: true })
  const report = Type.Object({
    status: Type.String(),
    checks: Type.Record(Type.String(), Type.String()),
  })

  app.route({
    method: 'GET',
    url: '/healthz',
    config: { permission: 'public', isQuiet: true },
    schema: {
      summary: 'The process is alive',
      response: { 200: Type.Object({ status: Type.String() }) },
    },
    handler: async () => ({ status: 'ok' }),
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    config: { permission: 'public', isQuiet: true },
    schema: {
      summary: 'The process can serve; 503 names the part that fails',
      response: { 200: report, 503: report },
    },
    handler: async (_request, reply) => {
      const { isReady, checks } = await health.report()
      reply.status(isReady ? 200 : 503)
      return { status: isReady ? 'ready' : 'not ready', checks }
    },
  })

  app.route({
    method: 'GET',
    url: '/metrics',
    config: { permission: 'public', isQuiet: true },
    schema: {
      summary: 'Metrics for Prometheus; no tenant is named in them',
      response: {
        200: { description: 'Text format', content: { 'text/plain': { schema: Type.String() } } },
      },
    },
    handler: async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.render()),
  })

  app.route({
    method: 'GET',
    url: '/openapi.json',
    config: { permission: 'public', isQuiet: true },
    schema: {
      summary: 'This document',
      response: { 200: Type.Unsafe<Record<string, unknown>>({ type: 'object' }) },
    },
    handler: async () => app.swagger(),
  })
}
