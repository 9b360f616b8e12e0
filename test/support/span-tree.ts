import assert from 'node:assert/strict'
import type { ExportedSpan } from './otlp-protobuf.ts'

export type SpanTree = {
  readonly root: ExportedSpan
  byId(id: string): ExportedSpan | undefined
  parentOf(span: ExportedSpan): ExportedSpan | undefined
  childrenOf(span: ExportedSpan): readonly ExportedSpan[]
  /** Attempts of a step, in the order of items and attempts. */
  attemptsOf(step: string): readonly ExportedSpan[]
}

/** The one connected tree that the spans of a trace must be. `remote` is the caller's own span. */
export function treeOf(spans: readonly ExportedSpan[], remote = ''): SpanTree {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  assert.equal(byId.size, spans.length, 'two spans have one id')
  const roots = spans.filter(({ parentId }) => !byId.has(parentId))
  assert.deepEqual(
    roots.map(({ name, parentId }) => [name, parentId]),
    [[roots[0]?.name, remote]],
    'spans without their parent',
  )
  for (const { name, links, parentId } of spans) {
    assert.ok(!links.some(({ spanId }) => spanId === parentId), `${name} links to its parent`)
  }
  const attempt = (span: ExportedSpan) => Number(span.attributes['weir.attempt'])
  const item = (span: ExportedSpan) => String(span.attributes['weir.item'] ?? '')
  return {
    root: roots[0] as ExportedSpan,
    byId: (id) => byId.get(id),
    parentOf: ({ parentId }) => byId.get(parentId),
    childrenOf: ({ spanId }) => spans.filter(({ parentId }) => parentId === spanId),
    attemptsOf: (step) =>
      spans
        .filter(({ kind, attributes }) => kind === 'CONSUMER' && attributes['weir.step'] === step)
        .sort((a, b) => item(a).localeCompare(item(b)) || attempt(a) - attempt(b)),
  }
}
