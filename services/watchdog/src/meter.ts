import { gateKey, type Lane, type StageRecord, type Topics } from '@weir/contracts'
import {
  countLag,
  createDrainRate,
  createOffsetTimes,
  type DrainRate,
  isBacklog,
  lagToMs,
  type OffsetTimes,
} from '@weir/core'
import type { Admin, CommittedOffset, PartitionOffset } from '@weir/kafka'

/** What waits before one lane of a stage. */
export type Level = {
  readonly stage: string
  readonly lane: Lane
  readonly partitions: number
  readonly lag: number
  /** Of the lag, the records that nobody has taken up. */
  readonly waiting: number
  /** Partitions in which some wait. */
  readonly waitingPartitions: number
  /** Records that are finished, since the log began. */
  readonly finished: number
  readonly lagMs: number
  readonly oldestAgeMs: number
  readonly drainRate: number
}

/** Measures the inputs of stages at the broker; the instances are not asked. */
export type Meter = {
  /** One request for the ends, one for all commits (to each broker that has some). */
  measure(stages: readonly StageRecord[]): Promise<readonly Level[]>
  /** Nothing has come since the measurement before, and nothing is there that is worked on. */
  readonly isQuiet: boolean
}

export type MeterOptions = {
  readonly admin: Pick<Admin, 'fetchEndOffsets' | 'fetchAllCommitted' | 'fetchRecordTimes'>
  readonly topics: Topics
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
  /** Rates that an earlier leader has measured, by the gate's key. */
  readonly rateOf: (key: string) => number
}

/** Records whose time has to be read from the log, in one measurement: a new leader's first ones. */
const READ_TIMES_MAX = 64

type LaneState = { readonly rate: DrainRate; wasBehind: boolean }
type Input = { readonly record: StageRecord; readonly lane: Lane; readonly topic: string }

const partitionKey = ({ topic, partition }: { topic: string; partition: number }) =>
  `${topic}/${partition}`

export function createMeter({ admin, topics, now, rateOf }: MeterOptions): Meter {
  const times = new Map<string, OffsetTimes>()
  const lanes = new Map<string, LaneState>()
  let ends = new Map<string, number>()
  let committed = new Map<string, CommittedOffset>()
  /** No record was unfinished at the last look; none was where a stage is active. */
  let isDrained = false
  let isAtRest = false
  let isSame = false

  const timesOf = (key: string): OffsetTimes => {
    const known = times.get(key) ?? createOffsetTimes()
    times.set(key, known)
    return known
  }

  const lookAtEnds = async (inputs: readonly Input[]): Promise<PartitionOffset[]> => {
    const atMs = now()
    const found = await admin.fetchEndOffsets(inputs.map(({ topic }) => topic))
    isSame =
      found.length === ends.size && found.every((one) => ends.get(partitionKey(one)) === one.offset)
    ends = new Map(found.map((one) => [partitionKey(one), one.offset]))
    for (const one of found) timesOf(partitionKey(one)).look(atMs, one.offset)
    return found
  }

  const lookAtCommits = async (
    inputs: readonly Input[],
    partitions: readonly PartitionOffset[],
  ) => {
    const groups = Map.groupBy(inputs, ({ record }) => topics.stageGroup(record.ref))
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
    const found = await admin.fetchAllCommitted(
      [...groups].map(([groupId, some]) => ({
        groupId,
        partitions: some.flatMap(({ topic }) => byTopic.get(topic) ?? []),
      })),
    )
    committed = new Map([...found.values()].flat().map((one) => [partitionKey(one), one]))
  }

  /** The times of the oldest records that came before anybody looked. */
  const readMissing = async (oldest: readonly PartitionOffset[]) => {
    const missing = oldest.filter(
      (one) => timesOf(partitionKey(one)).timeOf(one.offset) === undefined,
    )
    if (missing.length === 0) return
    for (const one of await admin.fetchRecordTimes(missing.slice(0, READ_TIMES_MAX))) {
      if (one.timestamp === null) continue
      timesOf(partitionKey(one)).know(one.offset, one.timestamp - Date.now() + now())
    }
  }

  const levelOf = (
    { record, lane }: Input,
    lags: readonly (PartitionOffset & ReturnType<typeof countLag>)[],
    atMs: number,
  ): Level => {
    const key = gateKey(record.ref, lane)
    const state = lanes.get(key) ?? { rate: createDrainRate(rateOf(key)), wasBehind: false }
    lanes.set(key, state)
    const lag = lags.reduce((sum, one) => sum + one.lag, 0)
    const waiting = lags.reduce((sum, one) => sum + one.waiting, 0)
    const finished = lags.reduce((sum, one) => sum + one.finished, 0)
    const since = lags.flatMap((one) => {
      if (one.oldest === undefined) return []
      return timesOf(partitionKey(one)).timeOf(one.oldest) ?? []
    })
    const oldestAgeMs = since.length === 0 ? 0 : Math.max(0, Math.round(atMs - Math.min(...since)))
    const isBehind = isBacklog({ waiting, oldestAgeMs })
    state.rate.sample(atMs, finished, isBehind && state.wasBehind)
    state.wasBehind = isBehind
    const drainRate = Math.round(state.rate.perSecond * 100) / 100
    const lagMs = lagToMs(lag, state.rate.perSecond, oldestAgeMs)
    const waitingPartitions = lags.filter((one) => one.waiting > 0).length
    const at = { stage: record.ref, lane, partitions: lags.length, waitingPartitions }
    return { ...at, lag, waiting, finished, lagMs, oldestAgeMs, drainRate }
  }

  return {
    async measure(stages) {
      const inputs = stages.flatMap((record) =>
        record.lanes.map((lane) => ({ record, lane, topic: topics.input(record.ref, lane) })),
      )
      if (inputs.length === 0) {
        isSame = isAtRest = true
        return []
      }
      const partitions = await lookAtEnds(inputs)
      const atMs = now()
      // Where nothing came and nothing was left to do, the commits are what they were.
      if (!isSame || !isDrained) await lookAtCommits(inputs, partitions)
      const lags = partitions.map((one) => {
        const commit = committed.get(partitionKey(one))
        const { offset: end } = one
        return {
          ...one,
          ...countLag({
            end,
            watermark: commit?.offset ?? null,
            metadata: commit?.metadata ?? null,
          }),
        }
      })
      for (const { oldest, ...one } of lags) timesOf(partitionKey(one)).forget(oldest ?? one.offset)
      await readMissing(
        lags.flatMap(({ topic, partition, oldest }) =>
          oldest === undefined ? [] : [{ topic, partition, offset: oldest }],
        ),
      )
      isDrained = lags.every(({ lag }) => lag === 0)
      const byTopic = Map.groupBy(lags, ({ topic }) => topic)
      isAtRest = inputs.every(
        ({ record, topic }) =>
          record.state !== 'active' || byTopic.get(topic)?.every(({ lag }) => lag === 0) === true,
      )
      return inputs.map((input) => levelOf(input, byTopic.get(input.topic) ?? [], atMs))
    },
    get isQuiet() {
      return isSame && isAtRest
    },
  }
}
