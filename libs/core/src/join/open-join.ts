import {
  depthOf,
  digestOf,
  type EdgeMessageKind,
  type Envelope,
  itemIndex,
  limits,
  type Plan,
  type PlanEdge,
  type PlanStep,
} from '@weir/contracts'
import type { MissingInput } from '../message/result.ts'

/** A message that a join has taken. */
export type Part = {
  readonly kind: EdgeMessageKind
  readonly payload: string
  /** Of the payload, as its sender named it. */
  readonly digest: string | undefined
  /** Trace context of the message, for the links of the joined task's span. */
  readonly traceparent: string
}

type GatherParts = {
  /** Number of items, from the first that came; 0 after a marker for the whole fan-out. */
  expected: number | null
  marker: 'empty' | 'skipped' | 'failed' | null
  readonly items: Map<number, Part>
}

type EdgeParts = { readonly edge: PlanEdge; part: Part | null; readonly gather: GatherParts | null }

/** The state of a join between its first part and its end. */
export type OpenJoin = {
  readonly key: string
  readonly plan: Plan
  readonly step: PlanStep
  /** Path of the task that the join leads to. */
  readonly item: string
  readonly firstOffset: number
  readonly openedAt: number
  /** The latest part: its envelope becomes the joined message's, its trace the parent. */
  last: Envelope
  readonly edges: readonly EdgeParts[]
  bytes: number
  /**
   * open: the policy waits. firing: a joined or timeout record is being appended. decided: one has
   * been read back; parts that come now are late.
   */
  state: 'open' | 'firing' | 'decided'
  /** Edges or items that the decision did without; empty closes the join when it is read. */
  waitsForLate: boolean
  timeoutAt: number | null
}

export function openJoin(
  key: string,
  plan: Plan,
  step: PlanStep,
  item: string,
  first: Envelope,
  offset: number,
  openedAt: number,
): OpenJoin {
  const timeoutMs = step.join?.timeoutMs ?? null
  return {
    key,
    plan,
    step,
    item,
    firstOffset: offset,
    openedAt,
    last: first,
    edges: step.in.map((index) => {
      const edge = plan.edges[index] as PlanEdge
      const gather: GatherParts | null =
        edge.kind === 'gather' ? { expected: null, marker: null, items: new Map() } : null
      return { edge, part: null, gather }
    }),
    bytes: 0,
    state: 'open',
    waitsForLate: false,
    timeoutAt: timeoutMs === null ? null : openedAt + timeoutMs,
  }
}

/**
 * Takes a part into a join. False for a duplicate, or a part that contradicts what is there (an item
 * beyond the count, an item after the marker of an empty fan-out): the first one counts.
 */
export function addPart(join: OpenJoin, envelope: Envelope, payload: string): boolean {
  const { meta } = envelope
  const slot = join.edges.find((candidate) => candidate.edge.index === meta.edge)
  if (slot === undefined) return false
  const kind = meta.kind as EdgeMessageKind
  // Once it fires, only the fact counts that the edge has delivered.
  const kept = join.state === 'open' ? payload : ''
  const { digest } = envelope.meta
  const part: Part = { kind, payload: kept, digest, traceparent: envelope.traceparent }
  if (slot.gather === null) {
    if (slot.part !== null) return false
    slot.part = part
  } else if (depthOf(meta.item) === depthOf(join.item)) {
    if (slot.gather.expected !== null || kind === 'data') return false
    slot.gather.expected = 0
    slot.gather.marker = kind
  } else {
    const index = itemIndex(meta.item)
    const expected = meta.counts.at(-1) ?? 0
    if (slot.gather.marker !== null || index >= (slot.gather.expected ?? expected)) return false
    if (slot.gather.items.has(index)) return false
    slot.gather.expected ??= expected
    slot.gather.items.set(index, part)
  }
  join.last = envelope
  join.bytes += kept.length
  return true
}

/** True where an edge, or the whole join, has had all messages that it will get. */
export function hasDelivered(slot: EdgeParts): boolean {
  if (slot.gather === null) return slot.part !== null
  return slot.gather.expected !== null && slot.gather.items.size === slot.gather.expected
}

export function allDelivered(join: OpenJoin): boolean {
  return join.edges.every(hasDelivered)
}

/** Drops what a join no longer needs once it fires: late parts only have to be recognised. */
export function releasePayloads(join: OpenJoin): void {
  for (const slot of join.edges) {
    if (slot.part !== null) slot.part = { ...slot.part, payload: '' }
    for (const [index, part] of slot.gather?.items ?? []) {
      if (part.payload !== '') slot.gather?.items.set(index, { ...part, payload: '' })
    }
  }
  join.bytes = 0
}

/** What the present parts make: the handler's input as JSON text, and what it lacks. */
export type JoinedInput = {
  readonly input: string
  readonly manifest: readonly MissingInput[]
  readonly took: readonly (readonly [edge: number, item: string, digest: string])[]
  readonly missing: readonly (readonly [edge: number, item: string])[]
  /** Sampled trace contexts of the parts but the last one. */
  readonly links: readonly string[]
  readonly tooLarge: boolean
}

const LINKS_MAX = 128

function linksOf(join: OpenJoin): string[] {
  const links = new Set<string>()
  const note = (part: Part | null) => {
    if (part?.traceparent.endsWith('1') && links.size < LINKS_MAX) links.add(part.traceparent)
  }
  for (const slot of join.edges) {
    note(slot.part)
    for (const part of slot.gather?.items.values() ?? []) note(part)
  }
  links.delete(join.last.traceparent)
  return [...links]
}

/**
 * Composes the input of a joined message. A step whose only edge is a gather gets the array of the
 * present items in item order, any other an object by the edges' names; what is absent stands in
 * the manifest.
 */
export function composeInput(join: OpenJoin): JoinedInput {
  const manifest: MissingInput[] = []
  const took: [number, string, string][] = []
  const missing: [number, string][] = []
  const members: string[] = []
  const path = (index: number) => (join.item === '' ? String(index) : `${join.item}.${index}`)

  for (const slot of join.edges) {
    const { as, index: edge } = slot.edge
    if (slot.gather === null) {
      if (slot.part === null) {
        manifest.push({ as, reason: 'not_delivered' })
        missing.push([edge, join.item])
      } else if (slot.part.kind === 'data') {
        members.push(`${JSON.stringify(as)}:${slot.part.payload}`)
        took.push([edge, join.item, slot.part.digest ?? digestOf(slot.part.payload)])
      } else {
        manifest.push({ as, reason: slot.part.kind === 'failed' ? 'failed' : 'skipped' })
        took.push([edge, join.item, slot.part.kind])
      }
      continue
    }
    const { expected, marker, items } = slot.gather
    const present: string[] = []
    if (marker === 'skipped' || marker === 'failed') manifest.push({ as, reason: marker })
    if (expected === null) {
      manifest.push({ as, reason: 'not_delivered' })
      missing.push([edge, '*'])
    }
    for (let index = 0; index < (expected ?? 0); index += 1) {
      const part = items.get(index)
      if (part === undefined) {
        manifest.push({ as, index, reason: 'not_delivered' })
        missing.push([edge, path(index)])
      } else if (part.kind === 'data') {
        present.push(part.payload)
        took.push([edge, path(index), part.digest ?? digestOf(part.payload)])
      } else {
        manifest.push({ as, index, reason: part.kind === 'failed' ? 'failed' : 'skipped' })
        took.push([edge, path(index), part.kind])
      }
    }
    const list = `[${present.join(',')}]`
    members.push(join.edges.length === 1 ? list : `${JSON.stringify(as)}:${list}`)
  }
  const only = join.edges.length === 1 && join.edges[0]?.gather !== null
  const input = only ? (members[0] as string) : `{${members.join(',')}}`
  const tooLarge = Buffer.byteLength(input) > limits.joinedBytes
  return { input, manifest, took, missing, links: linksOf(join), tooLarge }
}
