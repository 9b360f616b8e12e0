import {
  GATE_BEAT_KEY,
  type GateBeat,
  type GateRecord,
  gateKey,
  type StageRecord,
  type Topics,
} from '@weir/contracts'
import { createReader, type Kafka, type KafkaError, type Producer } from '@weir/kafka'
import type { KeptGate } from './gate-keeper.ts'
import type { Level } from './meter.ts'

/** What this leader has published of all gates, on `weir.gates`. */
export type GateBoard = {
  /** The rate that was published last. */
  rateOf(key: string): number
  gates(): readonly GateRecord[]
  /** Publishes the gates that have changed; those of stages that are gone are taken down. */
  publish(
    stages: readonly Pick<StageRecord, 'ref'>[],
    levels: readonly Level[],
    decisions: ReadonlyMap<string, KeptGate>,
  ): Promise<void>
  /** Says that everything published still holds, where nothing was said for a second. */
  beat(): Promise<void>
  /** When something has to be said at the latest, by `performance.now()`. */
  readonly beatDueMs: number
}

type Options = {
  readonly kafka: Kafka
  readonly producer: Producer
  readonly topics: Topics
  readonly leader: number
  /** A gate has come into another state; of one that is new its first. */
  readonly onChanged: (gate: GateRecord) => void
  readonly onFatal: (error: KafkaError) => void
}

const BEAT_MS = 1_000

/** Reads what the leader before has published, and goes on from there. */
export async function createGateBoard(options: Options): Promise<GateBoard> {
  const { producer, topics, leader } = options
  const published = await readGates(options)
  /** Keys that this leader has written itself. */
  const own = new Set<string>()
  let beatDueMs = 0

  const send = async (records: readonly { key: string; value: string | null }[]) => {
    const at = performance.now()
    await producer.send(records.map((one) => ({ topic: topics.gates, partition: 0, ...one })))
    beatDueMs = at + BEAT_MS
  }

  const next = (level: Level, decision: KeptGate): GateRecord => {
    const { stage, lane, lag, lagMs, oldestAgeMs, drainRate } = level
    const { state, inFlightLimit, floor, reason, instancesWanted } = decision
    const before = published.get(gateKey(stage, lane))
    const isSame = before?.state === state && before.reason === reason
    return {
      v: 1,
      ...{ stage, lane, state, inFlightLimit, floor, lag, lagMs, oldestAgeMs, drainRate, reason },
      ...(instancesWanted !== undefined && { instancesWanted }),
      since: isSame ? before.since : Date.now(),
      leader,
      seq: (before?.seq ?? 0) + 1,
    }
  }

  return {
    rateOf: (key) => published.get(key)?.drainRate ?? 0,
    gates: () => [...published.values()],
    async publish(stages, levels, decisions) {
      const records: { key: string; value: string | null }[] = []
      const changed: GateRecord[] = []
      for (const level of levels) {
        const decision = decisions.get(level.stage)
        if (decision === undefined) continue
        const key = gateKey(level.stage, level.lane)
        const gate = next(level, decision)
        const before = published.get(key)
        if (own.has(key) && !hasChanged(before, gate)) continue
        changed.push(gate)
        records.push({ key, value: JSON.stringify(gate) })
      }
      // A stage that could not be measured this time keeps its gate: none is not open either.
      const there = new Set<string>(stages.map(({ ref }) => ref))
      const gone = [...published].filter(([, { stage }]) => !there.has(stage))
      for (const [key] of gone) records.push({ key, value: null })
      if (records.length === 0) return
      await send(records)
      // Only now: what could not be sent is not published, and a beat must not say that it holds.
      for (const [key] of gone) published.delete(key)
      for (const gate of changed) {
        const key = gateKey(gate.stage, gate.lane)
        if (published.get(key)?.state !== gate.state) options.onChanged(gate)
        published.set(key, gate)
        own.add(key)
      }
    },
    async beat() {
      if (performance.now() < beatDueMs) return
      const record: GateBeat = { v: 1, beat: true, leader }
      await send([{ key: GATE_BEAT_KEY, value: JSON.stringify(record) }])
    },
    get beatDueMs() {
      return beatDueMs
    },
  }
}

/** All but what changes by itself. */
function hasChanged(before: GateRecord | undefined, gate: GateRecord): boolean {
  if (before === undefined) return true
  const facts = ({ seq: _, ...rest }: GateRecord) => JSON.stringify(rest)
  return facts(before) !== facts(gate)
}

async function readGates({ kafka, topics, onFatal }: Options): Promise<Map<string, GateRecord>> {
  const gates = new Map<string, GateRecord>()
  const reader = createReader({
    kafka,
    topics: [topics.gates],
    from: 'earliest',
    onRecords(_topic, _partition, records) {
      for (const { key, value } of records) {
        const name = key?.toString() ?? ''
        if (name === GATE_BEAT_KEY) continue
        if (value === null) gates.delete(name)
        else gates.set(name, JSON.parse(value.toString()) as GateRecord)
      }
    },
    onFatal,
  })
  try {
    await reader.caughtUp
  } finally {
    await reader.stop()
  }
  return gates
}
