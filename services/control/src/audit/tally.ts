/** What was counted under a key since it was told last. */
export type Repeated<Entry> = {
  readonly group: string
  /** The last of them; undefined for all that the group has no room to tell apart. */
  readonly entry: Entry | undefined
  readonly count: number
  readonly fromMs: number
  readonly toMs: number
}

/**
 * What became of something that was noted.
 * - `first`: nothing alike came in this window: tell of it at once.
 * - `counted`, `crowded`: it is in what the end of the window tells; `crowded` with all the others
 *   for which its group has no room.
 * - `lost`: there is no room for its group.
 */
export const NOTED = ['first', 'counted', 'crowded', 'lost'] as const
export type Noted = (typeof NOTED)[number]

export type Tally<Entry> = {
  note(group: string, key: string, entry: Entry, nowMs: number): Noted
  /** What is to be told because its window is over. A window without anything ends the key. */
  due(nowMs: number): Repeated<Entry>[]
  /** All that has not been told yet, whatever the time; the tally is empty then. */
  drain(): Repeated<Entry>[]
}

export type TallyLimits = {
  readonly windowMs: number
  readonly keysMax: number
  /** So that one group does not take the room of all others. */
  readonly groupKeysMax: number
}

type Slot<Entry> = {
  entry: Entry | undefined
  count: number
  fromMs: number
  toMs: number
  windowAtMs: number
}

/** Where the group's own rest is counted: no key of a caller is empty. */
const REST = ''

/**
 * Turns a flood of alike things into one word at its beginning and one a window while it lasts. The
 * last word has the time of the last of them, so its end is known too.
 */
export function createTally<Entry>(limits: TallyLimits): Tally<Entry> {
  const groups = new Map<string, Map<string, Slot<Entry>>>()
  let keys = 0

  const slotFor = (group: string, key: string, nowMs: number): Slot<Entry> | undefined => {
    const slots = groups.get(group) ?? new Map<string, Slot<Entry>>()
    const known = slots.get(key)
    if (known !== undefined) return known
    if (keys >= limits.keysMax) return undefined
    const slot = { entry: undefined, count: 0, fromMs: nowMs, toMs: nowMs, windowAtMs: nowMs }
    slots.set(key, slot)
    groups.set(group, slots)
    keys += 1
    return slot
  }

  const add = (slot: Slot<Entry>, entry: Entry | undefined, nowMs: number) => {
    if (slot.count === 0) slot.fromMs = nowMs
    slot.count += 1
    slot.toMs = nowMs
    slot.entry = entry
  }

  const toRepeated = (group: string, { entry, count, fromMs, toMs }: Slot<Entry>) => ({
    group,
    entry,
    count,
    fromMs,
    toMs,
  })

  return {
    note(group, key, entry, nowMs) {
      const slots = groups.get(group)
      const known = slots?.get(key)
      if (known !== undefined) {
        add(known, entry, nowMs)
        return 'counted'
      }
      const isCrowded = (slots?.size ?? 0) >= limits.groupKeysMax
      const slot = slotFor(group, isCrowded ? REST : key, nowMs)
      if (slot === undefined) return 'lost'
      if (!isCrowded) return 'first'
      add(slot, undefined, nowMs)
      return 'crowded'
    },
    due(nowMs) {
      const told: Repeated<Entry>[] = []
      for (const [group, slots] of groups) {
        for (const [key, slot] of slots) {
          if (nowMs - slot.windowAtMs < limits.windowMs) continue
          if (slot.count === 0) {
            slots.delete(key)
            keys -= 1
            continue
          }
          told.push(toRepeated(group, slot))
          slot.count = 0
          slot.windowAtMs = nowMs
        }
        if (slots.size === 0) groups.delete(group)
      }
      return told
    },
    drain() {
      const told = [...groups].flatMap(([group, slots]) =>
        [...slots.values()].filter(({ count }) => count > 0).map((slot) => toRepeated(group, slot)),
      )
      groups.clear()
      keys = 0
      return told
    },
  }
}
