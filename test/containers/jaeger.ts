import type { ExportedSpan, SpanKindName } from '../support/otlp-protobuf.ts'

type Attribute = {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string }
}
type Span = {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind?: number
  readonly attributes?: readonly Attribute[]
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status?: { readonly code?: number }
}
type Answer = {
  readonly result?: {
    readonly resourceSpans?: readonly {
      readonly resource: { readonly attributes: readonly Attribute[] }
      readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
    }[]
  }
}

/** By their number in OTLP. */
const KINDS: readonly SpanKindName[] = [
  'INTERNAL',
  'INTERNAL',
  'SERVER',
  'CLIENT',
  'PRODUCER',
  'CONSUMER',
]
const ERROR = 2

/** Spans of a trace, as far as Jaeger has them by now. */
export async function readTrace(jaeger: string, traceId: string): Promise<readonly ExportedSpan[]> {
  const response = await fetch(`${jaeger}/api/v3/traces/${traceId}`)
  if (response.status === 404) return []
  if (!response.ok) throw new Error(`Jaeger answered ${response.status}: ${await response.text()}`)
  const { result } = (await response.json()) as Answer
  return (result?.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) => {
    const service = String(toRecord(resource.attributes)['service.name'])
    return scopeSpans.flatMap(({ spans }) => spans.map((span) => toExportedSpan(span, service)))
  })
}

function toExportedSpan(span: Span, service: string): ExportedSpan {
  const { traceId, spanId, parentSpanId = '', name, kind = 0, attributes = [], links = [] } = span
  return {
    ...{ service, traceId, spanId, name, links },
    parentId: parentSpanId,
    kind: KINDS[kind] ?? 'INTERNAL',
    attributes: toRecord(attributes),
    isError: span.status?.code === ERROR,
  }
}

function toRecord(attributes: readonly Attribute[]): Record<string, string | number | null> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? (value.intValue === undefined ? null : Number(value.intValue)),
    ]),
  )
}
