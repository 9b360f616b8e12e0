import { parseStageRef } from './stage-ref.ts'
import type { Lane } from './states.ts'

export type TopicSpec = {
  readonly topic: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

const DAY_MS = 86_400_000
const appendTime = { 'message.timestamp.type': 'LogAppendTime' }

const PREFIX = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/

/** All topic names of one installation; `prefix` (default `weir`) lets several share a cluster. */
export function createTopics(prefix = 'weir') {
  if (!PREFIX.test(prefix)) throw new Error(`WEIR_PREFIX "${prefix}" cannot start a topic name`)
  const name = (rest: string) => `${prefix}.${rest}`

  const input = (ref: string, lane: Lane): string => {
    const parsed = parseStageRef(ref)
    if (parsed === undefined) throw new Error(`"${ref}" is not a stage reference`)
    return name(`in.${parsed.name}.${parsed.major}.${lane}`)
  }

  return {
    prefix,
    input,
    events: name('events'),
    changes: name('changes'),
    deadLetters: name('dlq'),
    plans: name('plans'),
    control: name('control'),
    gates: name('gates'),
    registry: name('registry'),
    /** Claims of the watchdogs; its one partition is what they divide among them. */
    watchdog: name('watchdog'),
    /** Consumer group of a stage, a lane's topics share it. */
    stageGroup: (ref: string) => name(`stage.${ref.replace('@', '.')}`),
    ledgerGroup: name('ledger'),
    watchdogGroup: name('watchdog'),

    /** Topics of a registered stage. */
    stageSpecs(ref: string, partitions: number, lanes: readonly Lane[]): TopicSpec[] {
      return lanes.map((lane) => ({
        topic: input(ref, lane),
        partitions,
        config: {
          ...appendTime,
          'cleanup.policy': 'delete',
          'retention.ms': String(7 * DAY_MS),
          'max.message.bytes': String(10 * 1024 * 1024),
        },
      }))
    },

    /** Topics that every installation has. `eventPartitions` bounds how many ledgers share the work. */
    platformSpecs(eventPartitions: number): TopicSpec[] {
      const compacted = (topic: string, maxBytes = 1_048_576): TopicSpec => ({
        topic,
        partitions: 1,
        config: {
          ...appendTime,
          'cleanup.policy': 'compact',
          'segment.ms': '600000',
          'min.cleanable.dirty.ratio': '0.2',
          'max.message.bytes': String(maxBytes),
        },
      })
      const kept = (
        topic: string,
        partitions: number,
        days: number,
        maxBytes: number,
      ): TopicSpec => ({
        topic,
        partitions,
        config: {
          ...appendTime,
          'cleanup.policy': 'delete',
          'retention.ms': String(Math.round(days * DAY_MS)),
          'max.message.bytes': String(maxBytes),
        },
      })
      return [
        kept(name('events'), eventPartitions, 7, 4 * 1024 * 1024),
        kept(name('changes'), 1, 1 / 24, 4 * 1024 * 1024),
        kept(name('dlq'), eventPartitions, 30, 11 * 1024 * 1024),
        compacted(name('plans'), 4 * 1024 * 1024),
        compacted(name('control')),
        compacted(name('gates')),
        compacted(name('registry'), 4 * 1024 * 1024),
        compacted(name('watchdog')),
      ]
    },
  }
}

export type Topics = ReturnType<typeof createTopics>
