/**
 * Reads the part of an OTLP/HTTP `ExportTraceServiceRequest` (protobuf) that the suites look at.
 * Field numbers: opentelemetry-proto, collector/trace/v1 and trace/v1.
 */

export type SpanKindName = 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER'

export type AttributeValue = string | number | boolean | null

export type ExportedSpan = {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  /** '' for a root. */
  readonly parentId: string
  readonly name: string
  readonly kind: SpanKindName
  readonly attributes: Readonly<Record<string, AttributeValue>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly isError: boolean
}

const KINDS: readonly SpanKindName[] = [
  'INTERNAL',
  'INTERNAL',
  'SERVER',
  'CLIENT',
  'PRODUCER',
  'CONSUMER',
]

type Field = { readonly number: number; readonly value: bigint | Buffer }

/** The fields of one message; length-delimited ones as bytes, all others as integers. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new Error('a protobuf message ends within a number')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const number = key >> 3
    switch (key & 7) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: bytes.readBigUInt64LE(at) }
        at += 8
        break
      case 2: {
        const length = Number(varint())
        yield { number, value: bytes.subarray(at, at + length) }
        at += length
        break
      }
      case 5:
        yield { number, value: BigInt(bytes.readUInt32LE(at)) }
        at += 4
        break
      default:
        throw new Error(`a protobuf message has the unknown wire type ${key & 7}`)
    }
  }
}

function* messages(bytes: Buffer, number: number): Generator<Buffer> {
  for (const field of fieldsOf(bytes)) if (field.number === number) yield field.value as Buffer
}

function readValue(bytes: Buffer): AttributeValue {
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) return value.toString()
    if (number === 2) return value !== 0n
    if (number === 3) return Number(BigInt.asIntN(64, value as bigint))
    if (number === 4) {
      const double = Buffer.alloc(8)
      double.writeBigUInt64LE(value as bigint)
      return double.readDoubleLE()
    }
  }
  return null
}

function readAttributes(bytes: Iterable<Buffer>): Record<string, AttributeValue> {
  const attributes: Record<string, AttributeValue> = {}
  for (const pair of bytes) {
    let key = ''
    let value: AttributeValue = null
    for (const field of fieldsOf(pair)) {
      if (field.number === 1) key = field.value.toString()
      else if (field.number === 2) value = readValue(field.value as Buffer)
    }
    attributes[key] = value
  }
  return attributes
}

const hex = (value: Field['value']): string => (value as Buffer).toString('hex')

function readLink(bytes: Buffer): ExportedSpan['links'][number] {
  const link = { traceId: '', spanId: '' }
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) link.traceId = hex(value)
    else if (number === 2) link.spanId = hex(value)
  }
  return link
}

function readSpan(bytes: Buffer, service: string): ExportedSpan {
  const span = { traceId: '', spanId: '', parentId: '', name: '', kind: 0, isError: false }
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1) span.traceId = hex(value)
    else if (number === 2) span.spanId = hex(value)
    else if (number === 4) span.parentId = hex(value)
    else if (number === 5) span.name = value.toString()
    else if (number === 6) span.kind = Number(value)
    else if (number === 15) {
      for (const status of fieldsOf(value as Buffer)) {
        if (status.number === 3) span.isError = status.value === 2n
      }
    }
  }
  return {
    ...span,
    service,
    kind: KINDS[span.kind] ?? 'INTERNAL',
    attributes: readAttributes(messages(bytes, 9)),
    links: [...messages(bytes, 13)].map(readLink),
  }
}

/** All spans of one export request. */
export function readExportRequest(request: Buffer): ExportedSpan[] {
  const spans: ExportedSpan[] = []
  for (const resourceSpans of messages(request, 1)) {
    let service = ''
    for (const resource of messages(resourceSpans, 1)) {
      service = String(readAttributes(messages(resource, 1))['service.name'] ?? '')
    }
    for (const scopeSpans of messages(resourceSpans, 2)) {
      for (const span of messages(scopeSpans, 2)) spans.push(readSpan(span, service))
    }
  }
  return spans
}
