import { type GateRecord, STAGE_STATES, type StageRecord } from '@weir/contracts'

/** What is measured of a stage, over its lanes. */
export type StageLoad = {
  /** Records that are not finished. */
  readonly lag: number
  /** Of these, the ones that nobody has taken up. */
  readonly waiting: number
  /** They wait in more than half of the partitions of a lane: it is not one partition that has a fault. */
  readonly isWide: boolean
  /** Records that are finished, since the log began. */
  readonly finished: number
  /** Records a second, while there is something to do; 0 where it is not known. */
  readonly drainRate: number
  /** Age of the oldest record that is not finished. */
  readonly oldestAgeMs: number
  /** Messages in flight as the dispatcher counts them, on the way to the stage too; where it is known. */
  readonly held: number | undefined
  /** What all instances together work on at once, and no less than one record for each partition. */
  readonly floor: number
  /** Partitions have just moved: what is measured now says little. */
  readonly isSettling: boolean
}

/** What the operator wants of a stage. */
export type GateAim = Pick<StageRecord, 'state' | 'inFlightMax'> & {
  /** How long records may wait before the stage. */
  readonly targetDelayMs: number
}

export type GateDecision = Pick<GateRecord, 'state' | 'inFlightLimit' | 'reason'>

/** A decision, and what the next one has to remember. Times are those of one monotonic clock. */
export type GateState = GateDecision & {
  readonly sinceMs: number
  readonly decidedAtMs: number
  /** Since when records have waited longer than the target, without a break. */
  readonly lateSinceMs: number | undefined
  /** Since when records have waited in more than half of the partitions. */
  readonly wideSinceMs: number | undefined
  /** Since when there has been something to do. */
  readonly busySinceMs: number | undefined
  /** Undefined before the first look of a leader that goes on from another's decision. */
  readonly finished: number | undefined
  readonly finishedAtMs: number
  /** From one record that is finished to the next while there is something to do; where it is known. */
  readonly gapMs: number | undefined
}

/** The least delay within so long counts: a burst that drains by itself is no pressure. */
const INTERVAL_MS = 2_000
/** A limit falls to no less than this share of itself in one step, and rises by this one in so long. */
const FALL = 0.7
const RISE = 1.25
const RISE_MS = 500
/** Of the step that would be right if it showed at once: what is let in shows only after its way here. */
const GAIN = 0.25
/** Of the target: below this there is room for more. Between the two nothing changes. */
const LOW = 0.5
/** Of `inFlightMax`. */
const RECORDS_HIGH = 0.8
const RECORDS_LOW = 0.5
/** Times the target. */
const LATE_CLOSED = 10
const LATE_OPEN = 5
/** A gate that was throttled does not open sooner, a closed one not at all. */
const DWELL_MS = 10_000
const CLOSED_DWELL_MS = 1_000
/** A stage that would have finished so many records and has finished none stands still. */
const STALL_RECORDS = 10
const STALL_MIN_MS = 1_000
const STALL_MAX_MS = 3_600_000
/** What the gaps before count after one more. */
const GAP_KEEP = 0.9
/** Where it has never finished anything. */
const STALL_UNKNOWN_MS = 60_000

/** How long what waits will wait, at the rate of the stage; where that is not known, as long as it has. */
export function delayOf({
  waiting,
  drainRate,
  oldestAgeMs,
}: Pick<StageLoad, 'waiting' | 'drainRate' | 'oldestAgeMs'>): number {
  if (waiting === 0) return 0
  return drainRate > 0 ? (waiting * 1_000) / drainRate : oldestAgeMs
}

/**
 * What a stage's gate is to be, from what it was and what is measured. The rules, the first that
 * applies:
 *
 * 1. A stage that is not active is closed, and nothing else counts.
 * 2. Closed: it stands still (records wait in more than half of the partitions, and in the time of ten
 *    records none was finished), is ten times later than its target, or is late and holds as many
 *    records as may be in flight at all. It opens again once something was finished, at half of these
 *    marks or when it is late no more. What its instances work on at once never makes it late.
 * 3. Throttled: what waits has waited longer than the target for two seconds without a break (the
 *    minimum over an interval, as in CoDel, RFC 8289), or it is late with four fifths of the records.
 *    The limit then goes to what keeps the delay at the target, `(held − waiting) + drain rate × target`:
 *    by Little's law the first term is what is under way and does not wait, so the way to the stage
 *    counts too. It falls by 30 % a step at most and not below the floor; below half of the target
 *    it rises.
 * 4. Open: the operator's limit. A throttled gate opens when its limit has risen to it.
 *
 * Records alone close nothing: a thousand of them are nothing for a fast stage.
 *
 * While partitions move nothing is concluded from delays, or from a stage that stands still.
 */
export function decideGate(
  before: GateState | undefined,
  aim: GateAim,
  load: StageLoad,
  nowMs: number,
): GateState {
  const memory = remember(before, aim, load, nowMs)
  const become = (state: GateState['state'], inFlightLimit: number, reason: string): GateState => {
    const isSame = before?.state === state && before.reason === reason
    const sinceMs = isSame ? before.sinceMs : nowMs
    return { ...memory, state, inFlightLimit, reason, sinceMs, decidedAtMs: nowMs }
  }

  if (aim.state !== 'active') return become('closed', 0, aim.state)

  const max = aim.inFlightMax
  const floor = Math.min(max, Math.max(1, load.floor))
  const isOurs = before !== undefined && !STATES.has(before.reason)
  const was = isOurs ? before.state : 'open'

  const closing = reasonToClose(memory, aim, load, floor, nowMs)
  if (closing !== undefined) return become('closed', 0, closing)
  if (was === 'closed' && before !== undefined) {
    const hasDwelt = nowMs - before.sinceMs >= CLOSED_DWELL_MS
    if (!hasDwelt || !mayOpen(before, aim, load)) return become('closed', 0, before.reason)
    const limit = clamp(rightLimit(load, aim), floor, max)
    // It is late still, and getting better: that is judged anew.
    return { ...become('throttled', limit, 'recovering'), lateSinceMs: undefined }
  }

  const isFull =
    load.lag >= RECORDS_HIGH * max && load.lag > floor && delayOf(load) > aim.targetDelayMs
  const isLate =
    memory.lateSinceMs !== undefined &&
    nowMs - memory.lateSinceMs >= INTERVAL_MS &&
    !load.isSettling
  if (was === 'open') {
    if (!isFull && !isLate) return become('open', max, '')
    const start = Math.min(max, Math.max(inFlight(load), floor))
    return become('throttled', lower(start, load, aim, floor), isLate ? 'late' : 'full')
  }

  const limit = clamp(before?.inFlightLimit ?? max, floor, max)
  const reason = before?.reason ?? ''
  if (load.isSettling) return become('throttled', limit, reason)
  const delayMs = delayOf(load)
  if (delayMs > aim.targetDelayMs) {
    return become('throttled', lower(limit, load, aim, floor), reason)
  }
  if (delayMs >= LOW * aim.targetDelayMs) return become('throttled', limit, reason)
  const hasDwelt = before !== undefined && nowMs - before.sinceMs >= DWELL_MS
  if (limit >= max && hasDwelt) return become('open', max, '')
  const elapsedMs = nowMs - (before?.decidedAtMs ?? nowMs)
  return become('throttled', raise(limit, load, aim, max, elapsedMs), reason)
}

/** Its reason is the state of the stage: it was not the load that decided. */
const STATES: ReadonlySet<string> = new Set(STAGE_STATES)

type Memory = Omit<GateState, keyof GateDecision | 'sinceMs' | 'decidedAtMs'>

function remember(
  before: GateState | undefined,
  aim: GateAim,
  load: StageLoad,
  nowMs: number,
): Memory {
  const { finished } = load
  const gapMs = gapOf(before, load, nowMs)
  // A stage that must not work is not slow at it.
  if (aim.state !== 'active') {
    const none = { lateSinceMs: undefined, wideSinceMs: undefined, busySinceMs: undefined }
    return { ...none, finished, finishedAtMs: nowMs, gapMs }
  }
  const isLate = delayOf(load) > aim.targetDelayMs
  const isWide = load.waiting > 0 && load.isWide
  return {
    lateSinceMs: isLate ? (before?.lateSinceMs ?? nowMs) : undefined,
    wideSinceMs: isWide ? (before?.wideSinceMs ?? nowMs) : undefined,
    busySinceMs: load.lag > 0 ? (before?.busySinceMs ?? nowMs) : undefined,
    finished,
    finishedAtMs: before === undefined || hasMoved(before, load) ? nowMs : before.finishedAtMs,
    gapMs,
  }
}

/** From one record to the next at a rate; undefined where that is not known. */
export function gapAt(perSecond: number): number | undefined {
  return perSecond > 0 ? 1_000 / perSecond : undefined
}

/** Over the last ten or so that were finished; the time without anything to do is no part of it. */
function gapOf(before: GateState | undefined, load: StageLoad, nowMs: number): number | undefined {
  if (before === undefined) return gapAt(load.drainRate)
  if (!hasMoved(before, load)) return before.gapMs
  const count = Math.max(1, load.finished - (before.finished ?? load.finished))
  const fromMs = Math.max(before.finishedAtMs, before.busySinceMs ?? before.decidedAtMs)
  const gapMs = (nowMs - fromMs) / count
  if (before.gapMs === undefined) return gapMs
  return before.gapMs + (gapMs - before.gapMs) * (1 - GAP_KEEP ** count)
}

function reasonToClose(
  memory: Memory,
  aim: GateAim,
  load: StageLoad,
  floor: number,
  nowMs: number,
): string | undefined {
  const lateMs = memory.lateSinceMs === undefined ? undefined : nowMs - memory.lateSinceMs
  const isMore = load.lag > floor
  // Two looks in a row: of a stage that had little to do the rate is only the least that it can do.
  const isFull = load.lag >= aim.inFlightMax && isMore && (lateMs ?? 0) > 0
  if (isFull) return 'full'
  if (load.isSettling) return undefined
  if (memory.wideSinceMs !== undefined) {
    const stillMs = nowMs - Math.max(memory.finishedAtMs, memory.wideSinceMs)
    if (stillMs >= stallAfterMs(memory.gapMs)) return 'stalled'
  }
  const isLate = lateMs !== undefined && lateMs >= INTERVAL_MS
  if (isLate && isMore && delayOf(load) > LATE_CLOSED * aim.targetDelayMs) return 'late'
  return undefined
}

/** That nothing is finished in ten times the usual gap happens by chance in e⁻¹⁰ of cases. */
function stallAfterMs(gapMs: number | undefined): number {
  if (gapMs === undefined) return STALL_UNKNOWN_MS
  return Math.min(Math.max(STALL_RECORDS * gapMs, STALL_MIN_MS), STALL_MAX_MS)
}

function hasMoved({ finished }: GateState, load: StageLoad): boolean {
  return finished !== undefined && load.finished !== finished
}

function mayOpen(before: GateState, aim: GateAim, load: StageLoad): boolean {
  const isStill = load.waiting > 0 && load.isWide && !hasMoved(before, load)
  if (before.reason === 'stalled' && isStill) return false
  const delayMs = delayOf(load)
  const isFull = load.lag > RECORDS_LOW * aim.inFlightMax && delayMs > aim.targetDelayMs
  return !isFull && delayMs <= LATE_OPEN * aim.targetDelayMs
}

/** What the dispatcher counts is up to a second old, and knows nothing of what a fan-out will be. */
const inFlight = ({ held, lag }: StageLoad): number => Math.max(held ?? 0, lag)

/** What keeps the delay at the target, if it is filled. */
function rightLimit(load: StageLoad, aim: GateAim): number {
  const underWay = Math.max(0, inFlight(load) - load.waiting)
  return underWay + (load.drainRate * aim.targetDelayMs) / 1_000
}

function lower(limit: number, load: StageLoad, aim: GateAim, floor: number): number {
  const wanted = Math.min(limit, Math.max(FALL * limit, rightLimit(load, aim)))
  return Math.max(floor, Math.round(wanted))
}

/** A limit that is used up rises by a part of what is missing; one that is not, freely. */
function raise(
  limit: number,
  load: StageLoad,
  aim: GateAim,
  max: number,
  elapsedMs: number,
): number {
  // Where all is quiet a stage is looked at less often.
  const share = RISE ** (elapsedMs / RISE_MS) - 1
  const isUsedUp = inFlight(load) >= 0.9 * limit
  const missing = (load.drainRate * (aim.targetDelayMs - delayOf(load))) / 1_000
  const by = isUsedUp ? Math.min(GAIN * missing, share * limit) : share * limit
  return Math.min(max, Math.ceil(limit + Math.max(1, by)))
}

const clamp = (value: number, from: number, to: number) =>
  Math.min(to, Math.max(from, Math.floor(value)))
