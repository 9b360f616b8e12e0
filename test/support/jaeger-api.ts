import type { AttributeValue, ExportedSpan, SpanKindName } from './otlp-protobuf.ts'

export type SearchFilter = {
  readonly service: string
  readonly attributes: Readonly<Record<string, string>>
  readonly depth?: number
}

/**
 * What the suites ask of a Jaeger: its query API, version 3. Attributes are searched with the older
 * one where it is still there: before 2.20 version 3 passes over them without a word.
 */
export type JaegerApi = {
  readonly url: string
  /** The spans of a trace; none where it is not known. */
  trace(traceId: string): Promise<readonly ExportedSpan[]>
  services(): Promise<readonly string[]>
  operations(service: string): Promise<readonly { name: string; spanKind: string }[]>
  /** Ids of the traces of the last hour in which a span of the service has all attributes. */
  search(filter: SearchFilter): Promise<readonly string[]>
  /** Edges between services, over the last hour. */
  dependencies(): Promise<readonly { parent: string; child: string; callCount: number }[]>
}

const HOUR_MS = 3_600_000
const ANSWER_MS = 30_000
const KINDS: readonly SpanKindName[] = [
  'INTERNAL',
  'INTERNAL',
  'SERVER',
  'CLIENT',
  'PRODUCER',
  'CONSUMER',
]

type OtlpValue = {
  readonly stringValue?: string
  readonly intValue?: string
  readonly doubleValue?: number
  readonly boolValue?: boolean
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]
type OtlpSpan = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind?: number
  readonly attributes?: OtlpAttributes
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status?: { readonly code?: number }
}
type OtlpTraces = {
  readonly resourceSpans?: readonly {
    readonly resource?: { readonly attributes?: OtlpAttributes }
    readonly scopeSpans?: readonly { readonly spans?: readonly OtlpSpan[] }[]
  }[]
}

function readValue({ stringValue, intValue, doubleValue, boolValue }: OtlpValue): AttributeValue {
  if (intValue !== undefined) return Number(intValue)
  return stringValue ?? doubleValue ?? boolValue ?? null
}

/** Without what Jaeger itself has to remark, on clocks for example. */
const readAttributes = (attributes: OtlpAttributes = []): Record<string, AttributeValue> =>
  Object.fromEntries(
    attributes
      .filter(({ key }) => !key.startsWith('@jaeger@'))
      .map(({ key, value }) => [key, readValue(value)]),
  )

function readSpan(span: OtlpSpan, service: string): ExportedSpan {
  return {
    service,
    traceId: span.traceId,
    spanId: span.spanId,
    parentId: span.parentSpanId ?? '',
    name: span.name,
    kind: KINDS[span.kind ?? 0] ?? 'INTERNAL',
    attributes: readAttributes(span.attributes),
    links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
    isError: span.status?.code === 2,
  }
}

const readTraces = ({ resourceSpans = [] }: OtlpTraces): ExportedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans = [] }) => {
    const service = String(readAttributes(resource?.attributes)['service.name'] ?? '')
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => readSpan(span, service)))
  })

export function createJaegerApi(url: string): JaegerApi {
  const get = async <Body>(path: string): Promise<Body | undefined> => {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) })
    const text = await response.text()
    if (response.status === 404) return undefined
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${text}`)
    return JSON.parse(text) as Body
  }

  return {
    url,
    async trace(traceId) {
      const body = await get<{ result: OtlpTraces }>(`/api/v3/traces/${traceId}`)
      return body === undefined ? [] : readTraces(body.result)
    },
    async services() {
      const body = await get<{ services: string[] }>('/api/v3/services')
      return body?.services ?? []
    },
    async operations(service) {
      const path = `/api/v3/operations?service=${encodeURIComponent(service)}`
      const body = await get<{ operations: { name: string; spanKind: string }[] }>(path)
      return body?.operations ?? []
    },
    async search({ service, attributes, depth = 100 }) {
      const now = Date.now()
      const [from, to] = [now - HOUR_MS, now + HOUR_MS]
      const tags = JSON.stringify(attributes)
      const classic = new URLSearchParams({
        service,
        tags,
        start: String(from * 1_000),
        end: String(to * 1_000),
        limit: String(depth),
      })
      const found = await get<{ data: { traceID: string }[] }>(`/api/traces?${classic}`)
      if (found !== undefined) return found.data.map(({ traceID }) => traceID).sort()
      const query = new URLSearchParams({
        'query.service_name': service,
        'query.attributes': tags,
        'query.start_time_min': new Date(from).toISOString(),
        'query.start_time_max': new Date(to).toISOString(),
        'query.search_depth': String(depth),
      })
      const body = await get<{ result: OtlpTraces }>(`/api/v3/traces?${query}`)
      const spans = body === undefined ? [] : readTraces(body.result)
      return [...new Set(spans.map(({ traceId }) => traceId))].sort()
    },
    async dependencies() {
      const query = `endTs=${Date.now() + HOUR_MS}&lookback=${2 * HOUR_MS}`
      const body = await get<{ data: { parent: string; child: string; callCount: number }[] }>(
        `/api/dependencies?${query}`,
      )
      return body?.data ?? []
    },
  }
}
