import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { context, trace } from '@opentelemetry/api'
import { currentLogContext } from './log-context.ts'
import { createLogger } from './logger.ts'
import { parseTraceparent, startSpan, traceparentOf } from './spans.ts'
import { startTelemetry } from './telemetry-sdk.ts'

test('spans reach the collector as protobuf, with parent, links and resource', async () => {
  const bodies: Buffer[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks))
      assert.equal(request.url, '/v1/traces')
      assert.equal(request.headers['content-type'], 'application/x-protobuf')
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  const sdk = startTelemetry({
    otlpUrl: `http://127.0.0.1:${port}/`,
    traceRatio: 1,
    serviceName: 'stage-test',
    instanceId: 'i-1',
  })
  const remote = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const lines: Record<string, unknown>[] = []
  const log = createLogger({
    service: 's',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  })
  const span = startSpan('process weir.in', { parent: remote, links: [remote] })
  await context.with(trace.setSpan(context.active(), span), async () => {
    await Promise.resolve()
    assert.equal(trace.getActiveSpan(), span)
    assert.equal(span.spanContext().traceId, '4bf92f3577b34da6a3ce929d0e0e4736')
    log.info('inside')
    const child = startSpan('send weir.events')
    assert.equal(child.spanContext().traceId, span.spanContext().traceId)
    child.end()
  })
  span.end()
  assert.equal(lines[0]?.trace_id, '4bf92f3577b34da6a3ce929d0e0e4736')
  assert.equal(lines[0]?.trace_flags, '01')
  assert.equal(currentLogContext(), undefined)

  const unsampled = startSpan('not recorded', { parent: remote.replace(/01$/, '00') })
  assert.equal(unsampled.isRecording(), false)
  unsampled.end()
  const root = startSpan('own trace', { isRoot: true })
  assert.notEqual(parseTraceparent(traceparentOf(root))?.traceId, undefined)
  root.end()

  await sdk.shutdown()
  server.close()
  server.closeAllConnections()
  const sent = Buffer.concat(bodies).toString('latin1')
  for (const part of ['process weir.in', 'send weir.events', 'own trace', 'stage-test', 'i-1']) {
    assert.ok(sent.includes(part), part)
  }
  assert.ok(!sent.includes('not recorded'))
  assert.deepEqual(sdk.stats(), { exported: 3, failed: 0, dropped: 0, queued: 0, exporting: 0 })
})
