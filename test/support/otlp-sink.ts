import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { type ExportedSpan, readExportRequest } from './otlp-protobuf.ts'

/** How a collector answers from now on: `nothing` keeps its connections open and says nothing. */
export type SinkAnswer = { readonly status: number; readonly afterMs: number } | 'nothing'

/** A collector that keeps what it is sent. */
export type OtlpSink = {
  /** For WEIR_OTLP_URL. */
  readonly url: string
  /** Spans of a trace, in the order of arrival. */
  trace(traceId: string): readonly ExportedSpan[]
  readonly spans: readonly ExportedSpan[]
  /** Where a text stands in anything that was sent, whatever part of a span it is in. */
  find(text: string): readonly string[]
  /** The requests that got nothing are answered too, once something is said again. */
  answer(how: SinkAnswer): void
  close(): Promise<void>
}

const EXCERPT_BYTES = 100

const REQUEST_MAX_BYTES = 64 * 1024 * 1024

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > REQUEST_MAX_BYTES) throw new Error('the export is too large')
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  return request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
}

/** Starts the collector on a free loopback port. */
export async function startOtlpSink(): Promise<OtlpSink> {
  const spans: ExportedSpan[] = []
  const bodies: Buffer[] = []
  const traces = new Map<string, ExportedSpan[]>()
  let how: SinkAnswer = { status: 200, afterMs: 0 }
  let spoken = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    try {
      const body = await readBody(request)
      if (request.method !== 'POST' || request.url !== '/v1/traces') {
        response.writeHead(404).end()
        return
      }
      while (how === 'nothing') await spoken.promise
      const { status, afterMs } = how
      if (afterMs > 0) await pause(afterMs)
      if (status !== 200) {
        response.writeHead(status).end()
        return
      }
      if (response.destroyed) return
      bodies.push(body)
      for (const span of readExportRequest(body)) {
        spans.push(span)
        const known = traces.get(span.traceId)
        if (known === undefined) traces.set(span.traceId, [span])
        else known.push(span)
      }
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    } catch (error) {
      response.writeHead(400).end(String(error))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    find: (text) =>
      bodies.flatMap((body) => {
        const at = body.indexOf(text)
        if (at < 0) return []
        return [body.subarray(Math.max(0, at - EXCERPT_BYTES), at + text.length).toString('latin1')]
      }),
    trace: (traceId) => traces.get(traceId) ?? [],
    answer(next) {
      how = next
      if (next === 'nothing') spoken = Promise.withResolvers()
      else spoken.resolve()
    },
    async close() {
      how = { status: 200, afterMs: 0 }
      spoken.resolve()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
