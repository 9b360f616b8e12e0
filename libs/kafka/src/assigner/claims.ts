import type { TopicPartition } from '../record.ts'

/** What a member says of itself when it joins: the partitions it holds, and since when that is true. */
export type Claims = {
  /** The last generation up to which it has held them without a break; the higher claim counts. */
  readonly generation: number
  readonly owned: readonly TopicPartition[]
  /** Being handed over: nobody gets them before they are claimed no more. */
  readonly leaving: readonly TopicPartition[]
}

export const NO_CLAIMS: Claims = { generation: -1, owned: [], leaving: [] }

type Wire = {
  readonly v: 1
  readonly g: number
  readonly o: Readonly<Record<string, readonly number[]>>
  readonly l: Readonly<Record<string, readonly number[]>>
}

/** As it travels in the member's metadata. */
export function encodeClaims(claims: Claims): Buffer {
  const wire: Wire = {
    v: 1,
    g: claims.generation,
    o: byTopic(claims.owned),
    l: byTopic(claims.leaving),
  }
  return Buffer.from(JSON.stringify(wire))
}

/** Of a member that says nothing, or in a form that is not ours: it holds nothing. Never throws. */
export function decodeClaims(bytes: Buffer | null | undefined): Claims {
  if (bytes == null || bytes.length === 0) return NO_CLAIMS
  try {
    const { v, g, o, l } = JSON.parse(bytes.toString()) as Wire
    if (v !== 1 || !Number.isSafeInteger(g)) return NO_CLAIMS
    return { generation: g, owned: toList(o), leaving: toList(l) }
  } catch {
    return NO_CLAIMS
  }
}

function byTopic(partitions: readonly TopicPartition[]): Wire['o'] {
  const grouped = Map.groupBy(partitions, ({ topic }) => topic)
  return Object.fromEntries(
    [...grouped].map(([topic, list]) => [topic, list.map(({ partition }) => partition)]),
  )
}

function toList(grouped: Wire['o']): TopicPartition[] {
  return Object.entries(grouped).flatMap(([topic, list]) =>
    list.filter(Number.isSafeInteger).map((partition) => ({ topic, partition })),
  )
}
