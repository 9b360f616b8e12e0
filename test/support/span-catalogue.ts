import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExportedSpan } from './otlp-protobuf.ts'

type Row = {
  readonly key: string
  readonly name: RegExp
  readonly kind: string
  readonly service: RegExp
  readonly parents: readonly string[]
  readonly links: readonly string[]
}

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/traces.md'), 'utf8')

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const codes = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code as string)

const quote = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** `<…>` stands for whatever is there. */
function patternOf(name: string): RegExp {
  const fixed = name.split(/<[^>]+>/).map(quote)
  return new RegExp(`^${fixed.join('.+')}$`)
}

const tables = page
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map(cellsOf)

const rows = tables
  .filter((cells) => cells.length === 6)
  .map(
    ([key = '', name = '', kind = '', service = '', parent = '', links = '']): Row => ({
      key: codes(key)[0] as string,
      name: patternOf(codes(name)[0] as string),
      kind,
      service: patternOf(codes(service)[0] as string),
      parents: codes(parent),
      links: codes(links),
    }),
  )

/** Everything that the page on traces says of spans, a fact each. */
function documentedFacts(): Set<string> {
  const attributes = tables.filter((cells) => cells.length === 3)
  return new Set([
    ...rows.flatMap(({ key, parents, links }) => [
      ...parents.map((parent) => `${key} is below ${parent}`),
      ...links.map((link) => `${key} links to ${link}`),
    ]),
    ...attributes.flatMap(([attribute = '', on = '']) =>
      codes(on).map((key) => `${key} has ${codes(attribute)[0]}`),
    ),
  ])
}

function keyOf({ name, kind, service }: ExportedSpan): string {
  const row = rows.find(
    (one) => one.kind === kind && one.name.test(name) && one.service.test(service),
  )
  return row?.key ?? `${kind} span "${name}" of ${service}`
}

/** The same facts, as spans show them. */
function seenFacts(spans: readonly ExportedSpan[]): Set<string> {
  const byId = new Map(spans.map((span) => [span.spanId, span]))
  const keyAt = (id: string, otherwise: string) => {
    const span = byId.get(id)
    return span === undefined ? otherwise : keyOf(span)
  }
  return new Set(
    spans.flatMap((span) => {
      const key = keyOf(span)
      const parent = span.parentId === '' ? 'none' : keyAt(span.parentId, 'caller')
      return [
        `${key} is below ${parent}`,
        ...span.links.map(({ spanId }) => `${key} links to ${keyAt(spanId, 'a span elsewhere')}`),
        ...Object.keys(span.attributes).map((attribute) => `${key} has ${attribute}`),
      ]
    }),
  )
}

/** What spans show and the page does not say, and the other way round. */
export function compareWithPage(spans: readonly ExportedSpan[]) {
  const documented = documentedFacts()
  const seen = seenFacts(spans)
  return {
    undocumented: [...seen].filter((fact) => !documented.has(fact)).sort(),
    unseen: [...documented].filter((fact) => !seen.has(fact)).sort(),
  }
}
