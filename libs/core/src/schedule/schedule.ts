import { bandOf, type Lane } from '@weir/contracts'

/** What the order looks at. */
export type Place = { readonly lane: Lane; readonly tenant: string; readonly priority: number }

export type ScheduleOptions = {
  /** How many may run at once. */
  readonly concurrency: number
  /** Starts of each lane out of their sum, while both have something to start. */
  readonly weights?: Readonly<Record<Lane, number>>
}

/**
 * The order in which waiting work of an instance starts:
 * 1. lanes share starts by weight, so that the lower one keeps a floor;
 * 2. inside a lane tenants take turns, and while several tenants are here, none runs more than its
 *    even share of `concurrency`, rounded up;
 * 3. inside a tenant the higher band of priority first, then arrival.
 */
export type Schedule<Item> = {
  /** Waiting. */
  readonly size: number
  readonly running: number
  add(item: Item, place: Place): void
  /** The next to start, or undefined: nothing may start now. It runs until `end`. */
  take(): { readonly item: Item; readonly place: Place } | undefined
  end(place: Place): void
}

type Entry<Item> = { readonly item: Item; readonly place: Place }
/** By band, highest last. */
type Waiting<Item> = Queue<Entry<Item>>[]
type LaneQueue<Item> = { readonly lane: Lane; credit: number; tenants: Map<string, Waiting<Item>> }

const WEIGHTS: Readonly<Record<Lane, number>> = { high: 4, normal: 1 }

export function createSchedule<Item>(options: ScheduleOptions): Schedule<Item> {
  const { concurrency, weights = WEIGHTS } = options
  const lanes: LaneQueue<Item>[] = (['high', 'normal'] as const).map((lane) => ({
    lane,
    credit: 0,
    tenants: new Map(),
  }))
  const runningOf = new Map<string, number>()
  const waitingOf = new Map<string, number>()
  let running = 0
  let size = 0
  /** Tenants that wait or run. */
  let present = 0

  const change = (counts: Map<string, number>, tenant: string, by: number) => {
    const isHere = () => waitingOf.has(tenant) || runningOf.has(tenant)
    const before = isHere()
    const count = (counts.get(tenant) ?? 0) + by
    if (count === 0) counts.delete(tenant)
    else counts.set(tenant, count)
    present += Number(isHere()) - Number(before)
  }

  /** The first tenant in turn that is below its share. */
  const tenantOf = (queue: LaneQueue<Item>): string | undefined => {
    const share = Math.ceil(concurrency / Math.max(1, present))
    for (const tenant of queue.tenants.keys()) {
      if ((runningOf.get(tenant) ?? 0) < share) return tenant
    }
    return undefined
  }

  /** Smooth weighted turns: a lane that is able earns its weight, the richer one pays the sum. */
  const chooseLane = (isHighAble: boolean, isNormalAble: boolean): LaneQueue<Item> | undefined => {
    const [high, normal] = lanes as [LaneQueue<Item>, LaneQueue<Item>]
    if (!isHighAble) return isNormalAble ? normal : undefined
    if (!isNormalAble) return high
    high.credit += weights.high
    normal.credit += weights.normal
    const best = normal.credit > high.credit ? normal : high
    best.credit -= weights.high + weights.normal
    return best
  }

  const takeFrom = (queue: LaneQueue<Item>, tenant: string): Entry<Item> => {
    const waiting = queue.tenants.get(tenant) as Waiting<Item>
    const band = waiting.findLast((candidate) => candidate.size > 0) as Queue<Entry<Item>>
    const entry = band.shift() as Entry<Item>
    // To the end of the turn.
    queue.tenants.delete(tenant)
    if (waiting.some((candidate) => candidate.size > 0)) queue.tenants.set(tenant, waiting)
    return entry
  }

  return {
    get size() {
      return size
    },
    get running() {
      return running
    },
    add(item, place) {
      const queue = lanes[place.lane === 'high' ? 0 : 1] as LaneQueue<Item>
      let waiting = queue.tenants.get(place.tenant)
      if (waiting === undefined) {
        waiting = [0, 1, 2, 3].map(() => new Queue<Entry<Item>>())
        queue.tenants.set(place.tenant, waiting)
      }
      waiting[bandOf(place.priority)]?.push({ item, place })
      size += 1
      change(waitingOf, place.tenant, 1)
    },
    take() {
      if (running >= concurrency || size === 0) return undefined
      const [high, normal] = lanes as [LaneQueue<Item>, LaneQueue<Item>]
      const ofHigh = high.tenants.size === 0 ? undefined : tenantOf(high)
      const ofNormal = normal.tenants.size === 0 ? undefined : tenantOf(normal)
      const queue = chooseLane(ofHigh !== undefined, ofNormal !== undefined)
      if (queue === undefined) return undefined
      const entry = takeFrom(queue, (queue === high ? ofHigh : ofNormal) as string)
      size -= 1
      running += 1
      change(runningOf, entry.place.tenant, 1)
      change(waitingOf, entry.place.tenant, -1)
      return entry
    },
    end({ tenant }) {
      running -= 1
      change(runningOf, tenant, -1)
    },
  }
}

/** First in, first out, at constant cost. */
class Queue<Item> {
  #items: Item[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head] as Item
    this.#head += 1
    if (this.#head >= 64 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }
}
