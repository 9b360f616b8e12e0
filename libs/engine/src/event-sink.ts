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
 * not: reports of tasks do not pass it. It lets through so many a second, and a queue's worth at once
 * after a time of silence; entries of one owner keep their order.
 */
export type EventSink<Entry> = {
  /** Whether it was taken; under `block`, where there is no room, when that is known. */
  offer(owner: SinkOwner<Entry>, entry: Entry): boolean | Promise<boolean>
  /** Counts one that is lost before it is offered a place. */
  refuse(reason: 'too_large' | 'attempt_full'): void
  /** Under `block`: undefined, or resolves when nothing of an owner waits any more. */
  drained(owner: SinkOwner<Entry>): Promise<void> | undefined
  /**
   * What waits of an owner goes now, where losses are allowed as far as the pace allows, or never: it
   * goes ahead of the task's own report, after which it would come too late, and which does not wait.
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

export function createEventSink<Entry>(options: EventSinkOptions): EventSink<Entry> {
  const { policy, queueMax, perSecond, nowMs } = options
  let queue: Place<Entry>[] = []
  let waiters: Waiter<Entry>[] = []
  /** How many of an owner are in the two, and who waits until there are none. */
  const waitingOf = new Map<SinkOwner<Entry>, number>()
  const drains = new Map<SinkOwner<Entry>, (() => void)[]>()
  let tokens = queueMax
  let refilledAt = nowMs()
  let stopTimer: (() => void) | undefined
  let isStopped = false
  let isPumping = false
  const counts = { offered: 0, delivered: 0, underWay: 0 }
  const lost: Record<SinkLoss, number> = {
    queue_full: 0,
    send_failed: 0,
    too_large: 0,
    attempt_full: 0,
  }

  const enter = ({ owner }: Place<Entry>) => {
    waitingOf.set(owner, (waitingOf.get(owner) ?? 0) + 1)
  }

  const leave = ({ owner }: Place<Entry>) => {
    const left = (waitingOf.get(owner) ?? 1) - 1
    if (left > 0) {
      waitingOf.set(owner, left)
      return
    }
    waitingOf.delete(owner)
    for (const tell of drains.get(owner) ?? []) tell()
    drains.delete(owner)
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
      pump()
    })
  }

  const refill = () => {
    const now = nowMs()
    tokens = Math.min(queueMax, tokens + ((now - refilledAt) * perSecond) / 1_000)
    refilledAt = now
  }

  /** Hands over what may go now, and comes back when more may. */
  const pump = () => {
    if (isPumping || stopTimer !== undefined || queue.length === 0) return
    isPumping = true
    refill()
    while (queue.length > 0 && tokens >= 1 && counts.underWay < queueMax) {
      const place = queue.shift() as Place<Entry>
      deliver(place)
      leave(place)
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
      if (queue.length >= queueMax) {
        // Those who wait are bounded too: a handler may say much without waiting for any of it.
        if (policy === 'reject' || (policy === 'block' && waiters.length >= queueMax)) {
          lose(place, 'queue_full')
          return false
        }
        if (policy === 'block') {
          enter(place)
          return new Promise((resolve) => waiters.push({ ...place, tell: resolve }))
        }
        const oldest = queue.shift() as Place<Entry>
        lose(oldest, 'queue_full')
        leave(oldest)
      }
      queue.push(place)
      enter(place)
      pump()
      return true
    },
    refuse(reason) {
      counts.offered += 1
      lost[reason] += 1
    },
    drained(owner) {
      if (policy !== 'block' || !waitingOf.has(owner)) return undefined
      return new Promise((resolve) => {
        drains.set(owner, [...(drains.get(owner) ?? []), resolve])
      })
    },
    flush(owner) {
      if (!waitingOf.has(owner)) return
      refill()
      const isOwn = (place: Place<Entry>) => place.owner === owner
      const told = waiters.filter(isOwn)
      const own = [...queue.filter(isOwn), ...told]
      queue = queue.filter((place) => !isOwn(place))
      waiters = waiters.filter((place) => !isOwn(place))
      // Under `block` the pace makes up for it afterwards. Where Kafka takes nothing, ended tasks must
      // not pile up what their handlers said.
      const allowed = policy === 'block' ? own.length : Math.floor(tokens)
      const room = Math.max(0, Math.min(allowed, 2 * queueMax - counts.underWay))
      const first = policy === 'drop_oldest' ? Math.max(0, own.length - room) : 0
      own.forEach((place, at) => {
        if (at >= first && at < first + room) deliver(place)
        else lose(place, 'queue_full')
        leave(place)
      })
      for (const { tell } of told) tell(true)
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
