/**
 * What becomes of an event when as many wait as may.
 * - `block`: whoever says it waits until there is room.
 * - `reject`: it is not taken, and whoever says it is told.
 * - `drop_oldest`: it is taken, and the one that has waited longest is lost.
 */
export const SINK_POLICIES = ['block', 'reject', 'drop_oldest'] as const
export type SinkPolicy = (typeof SINK_POLICIES)[number]

/** Whose events these are: an attempt of a task. */
export type SinkOwner<Entry> = {
  /** Hands one over; `done` is called once, with whether it can be lost no more. */
  deliver(entry: Entry, done: (error: Error | undefined) => void): void
  /** One of those that were taken, or waited to be, is lost after all. */
  lose(entry: Entry, reason: 'queue_full' | 'send_failed'): void
}

/** Why one is lost; `send_failed`: Kafka did not take it in time, or its run was over. */
export type SinkLoss = 'queue_full' | 'send_failed' | 'too_large' | 'attempt_full'

/** Each entry that was offered is in one of these. */
export type SinkFigures = {
  readonly offered: number
  readonly delivered: number
  readonly lost: Readonly<Record<SinkLoss, number>>
  /** In the queue; waiting for a place in it; handed over and not acknowledged. */
  readonly queued: number
  readonly waiting: number
  readonly underWay: number
}

/**
 * A bounded queue between handlers and Kafka for what may be lost, so that it never holds up what may
 * not: reports of tasks do not pass it. It lets through so many a second; entries of one owner keep
 * their order.
 */
export type EventSink<Entry> = {
  /** Whether it was taken; under `block`, where there is no room, when that is known. */
  offer(owner: SinkOwner<Entry>, entry: Entry): boolean | Promise<boolean>
  /** Counts one that is lost before it is offered a place. */
  refuse(reason: 'too_large' | 'attempt_full'): void
  /** Under `block`: undefined, or resolves when `flush` will lose nothing. */
  room(): Promise<void> | undefined
  /**
   * Hands over at once what waits of an owner: it goes ahead of the task's own report, after which it
   * would come too late. The others wait for as much longer.
   */
  flush(owner: SinkOwner<Entry>): void
  figures(): SinkFigures
  stop(): void
}

export type EventSinkOptions = {
  readonly policy: SinkPolicy
  /** Entries in the queue, and as many waiting for it; twice as many under way. */
  readonly queueMax: number
  readonly perSecond: number
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  readonly after: (ms: number, call: () => void) => () => void
}

type Place<Entry> = { readonly owner: SinkOwner<Entry>; readonly entry: Entry }
type Waiter<Entry> = Place<Entry> & { readonly tell: (taken: boolean) => void }

/** What has been saved up while nothing was said may go at once. */
const BURST_MS = 100

export function createEventSink<Entry>(options: EventSinkOptions): EventSink<Entry> {
  const { policy, queueMax, perSecond, nowMs } = options
  const burst = Math.max(1, (perSecond * BURST_MS) / 1_000)
  let queue: Place<Entry>[] = []
  let waiters: Waiter<Entry>[] = []
  let tokens = burst
  let refilledAt = nowMs()
  let stopTimer: (() => void) | undefined
  let isStopped = false
  let isPumping = false
  const rooms: (() => void)[] = []
  const counts = { offered: 0, delivered: 0, underWay: 0 }
  const lost: Record<SinkLoss, number> = {
    queue_full: 0,
    send_failed: 0,
    too_large: 0,
    attempt_full: 0,
  }

  const lose = ({ owner, entry }: Place<Entry>, reason: 'queue_full' | 'send_failed') => {
    lost[reason] += 1
    owner.lose(entry, reason)
  }

  const deliver = (place: Place<Entry>) => {
    counts.underWay += 1
    tokens -= 1
    place.owner.deliver(place.entry, (error) => {
      counts.underWay -= 1
      if (error === undefined) counts.delivered += 1
      else lose(place, 'send_failed')
      if (counts.underWay < queueMax) rooms.shift()?.()
      pump()
    })
  }

  /** Where Kafka takes nothing, ended tasks must not pile up what their handlers said. */
  const send = (place: Place<Entry>) => {
    if (counts.underWay < 2 * queueMax) deliver(place)
    else lose(place, 'queue_full')
  }

  const refill = () => {
    const now = nowMs()
    tokens = Math.min(burst, tokens + ((now - refilledAt) * perSecond) / 1_000)
    refilledAt = now
  }

  /** Hands over what may go now, and comes back when more may. */
  const pump = () => {
    if (isPumping || stopTimer !== undefined || queue.length === 0) return
    isPumping = true
    refill()
    while (queue.length > 0 && tokens >= 1 && counts.underWay < queueMax) {
      deliver(queue.shift() as Place<Entry>)
      admit()
    }
    isPumping = false
    if (queue.length === 0 || counts.underWay >= queueMax || isStopped) return
    const waitMs = Math.max(1, Math.ceil(((1 - tokens) * 1_000) / perSecond))
    stopTimer = options.after(waitMs, () => {
      stopTimer = undefined
      pump()
    })
  }

  /** Those who wait for room, in the order in which they came. */
  const admit = () => {
    while (waiters.length > 0 && queue.length < queueMax) {
      const { owner, entry, tell } = waiters.shift() as Waiter<Entry>
      queue.push({ owner, entry })
      tell(true)
    }
  }

  return {
    offer(owner, entry) {
      counts.offered += 1
      const place = { owner, entry }
      if (queue.length < queueMax) {
        queue.push(place)
        pump()
        return true
      }
      if (policy === 'drop_oldest') {
        lose(queue.shift() as Place<Entry>, 'queue_full')
        queue.push(place)
        pump()
        return true
      }
      // Those who wait are bounded too: a handler may say much without waiting for any of it.
      if (policy === 'reject' || waiters.length >= queueMax) {
        lose(place, 'queue_full')
        return false
      }
      return new Promise((resolve) => waiters.push({ ...place, tell: resolve }))
    },
    refuse(reason) {
      counts.offered += 1
      lost[reason] += 1
    },
    room() {
      if (policy !== 'block' || counts.underWay < queueMax) return undefined
      return new Promise((resolve) => rooms.push(resolve))
    },
    flush(owner) {
      refill()
      const own = queue.filter((place) => place.owner === owner)
      const late = waiters.filter((place) => place.owner === owner)
      if (own.length + late.length === 0) return
      queue = queue.filter((place) => place.owner !== owner)
      waiters = waiters.filter((place) => place.owner !== owner)
      for (const place of own) send(place)
      for (const place of late) {
        send(place)
        place.tell(true)
      }
      admit()
      pump()
    },
    figures: () => ({
      ...counts,
      lost: { ...lost },
      queued: queue.length,
      waiting: waiters.length,
    }),
    stop() {
      isStopped = true
      stopTimer?.()
      stopTimer = undefined
    },
  }
}
