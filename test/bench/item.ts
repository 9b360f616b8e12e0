/** What travels in every part of the suite: about 310 bytes of JSON. */
export type Item = {
  readonly n: number
  readonly round: number
  /** When it was meant to be sent, by the machine's monotonic clock, in milliseconds. */
  readonly at: number
  readonly hop: number
  readonly total: number
  readonly value: number
  readonly customer: string
  readonly currency: string
  readonly tags: string[]
  readonly note: string
}

const note =
  'Delivered to the front desk; the parcel was signed for by the porter on duty, who asked for a ' +
  'call before the next delivery of this kind.'

export function makeItem(n: number, round: number, at = 0): Item {
  return {
    n,
    round,
    at,
    hop: 0,
    total: 0,
    value: (n % 9_973) + 1,
    customer: `customer-${String(n % 100_000).padStart(6, '0')}`,
    currency: 'EUR',
    tags: ['parcel', 'signed', 'porter'],
    note,
  }
}

/** The work of a stage, the same with and without Weir: a changed copy. */
export function changeItem(item: Item): Item {
  return { ...item, hop: item.hop + 1, total: item.total + item.value }
}

/** Whether this is what item `n` must look like after so many stages. */
export function isRight(item: unknown, n: number, hops: number): boolean {
  const given = item as Item | null
  const value = (n % 9_973) + 1
  return given?.n === n && given.hop === hops && given.total === hops * value && given.note === note
}
