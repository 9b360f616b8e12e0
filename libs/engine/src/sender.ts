import {
  DEAD_LETTER_HEADERS,
  type Envelope,
  encodeEnvelope,
  type Lane,
  laneOf,
  type MessageMeta,
  type TicketKey,
  type Topics,
} from '@weir/contracts'
import type { Command, DeadLetter, OutputMessage } from '@weir/core'
import type { KafkaRecord, OutRecord, Producer, TopicPartition } from '@weir/kafka'
import { isSampled, traceparentOf } from '@weir/runtime'
import { ownerRecord, signOwn } from './own-messages.ts'
import type { Refusal } from './read-message.ts'
import type { Done, ReportWriter } from './report-writer.ts'
import { openSendSpans, startLetterSpan } from './spans.ts'

type Append = Extract<Command, { do: 'append' }>
type Send = Extract<Command, { do: 'send' }>

/**
 * Turns a partition's commands into records. `done` is called once, when all of a command's records
 * are acknowledged, or when one of them is not for good: then others may be in the log.
 */
export type Sender = {
  append(to: TopicPartition, command: Append, traceparent: string, done: Done): void
  send(from: TopicPartition, command: Send, traceparent: string, done: Done): void
  /** Puts a record aside, bytes and headers as received. */
  refuse(record: KafkaRecord, refusal: Refusal, done: Done): void
  own(partition: TopicPartition, generation: number): Promise<void>
}

export type SenderOptions = {
  readonly producer: Producer
  readonly reports: ReportWriter
  readonly topics: Topics
  readonly key: TicketKey
  readonly instance: string
  readonly laneTo: (stage: string, wanted: Lane) => Lane
  readonly now: () => number
}

export function createSender(options: SenderOptions): Sender {
  const { producer, reports, topics, key } = options
  const inputTopics = new Map<string, string>()

  const inputTopic = (stage: string, priority: number): string => {
    const lane = options.laneTo(stage, laneOf(priority))
    const name = `${stage}/${lane}`
    let topic = inputTopics.get(name)
    if (topic === undefined) {
      topic = topics.input(stage, lane)
      inputTopics.set(name, topic)
    }
    return topic
  }

  const produce = (records: readonly OutRecord[], done: Done) => {
    producer.post(records, done)
  }

  /** The record of a dead letter, and `done` with the end of its span. */
  const deadLetter = (
    from: TopicPartition,
    { envelope, value, error }: DeadLetter,
    parent: string,
    done: Done,
  ): { record: OutRecord; done: Done } => {
    const span = startLetterSpan(envelope, parent, topics.deadLetters, error)
    const traceparent = (span && traceparentOf(span)) ?? envelope.traceparent
    const record = {
      topic: topics.deadLetters,
      key: envelope.job,
      value,
      headers: {
        ...encodeEnvelope({ ...envelope, traceparent }),
        [DEAD_LETTER_HEADERS.reason]: error.code,
        [DEAD_LETTER_HEADERS.detail]: error.message.slice(0, 1_000),
        [DEAD_LETTER_HEADERS.origin]: `${from.topic}/${from.partition}`,
      },
    }
    const ended: Done = (failure) => {
      span?.end()
      done(failure)
    }
    return { record, done: span === undefined ? done : ended }
  }

  return {
    append(to, command, traceparent, done) {
      const { envelope, value, report } = command
      const signed = signOwn(key, { ...envelope, traceparent }, value)
      const headers = encodeEnvelope(signed)
      const own = { topic: to.topic, partition: to.partition, key: command.key, value, headers }
      const settle = report === null ? done : both(done)
      if (command.deadLetter === null) produce([own], settle)
      else {
        const letter = deadLetter(to, command.deadLetter, traceparent, settle)
        produce([own, letter.record], letter.done)
      }
      if (report !== null) reports.add(report, traceparent, settle)
    },

    send(from, command, traceparent, done) {
      const { source, messages, report } = command
      const isTraced = messages.length > 0 && isSampled(traceparent)
      const spans = isTraced ? openSendSpans(source, traceparent, messages.length) : undefined
      const records: OutRecord[] = []
      for (const message of messages) {
        const topic = inputTopic(message.target.stage, source.meta.priority)
        const parent = spans?.next(topic, message.id) ?? traceparent
        const headers = encodeEnvelope(envelopeOf(source, message, parent))
        records.push({ topic, key: message.key, value: message.payload, headers })
      }
      const told: Done =
        spans === undefined
          ? done
          : (error) => {
              spans.end(error)
              done(error)
            }
      const hasRecords = records.length > 0 || command.deadLetter !== null
      const settle = report !== null && hasRecords ? both(told) : told
      if (command.deadLetter === null) {
        if (hasRecords) produce(records, settle)
      } else {
        const letter = deadLetter(from, command.deadLetter, traceparent, settle)
        produce([...records, letter.record], letter.done)
      }
      if (report !== null) reports.add(report, traceparent, settle)
    },

    refuse(record, { reason, detail }, done) {
      const { topic, partition, offset } = record
      const headers = {
        ...record.headers,
        [DEAD_LETTER_HEADERS.reason]: reason,
        [DEAD_LETTER_HEADERS.detail]: detail.slice(0, 1_000),
        [DEAD_LETTER_HEADERS.origin]: `${topic}/${partition}/${offset}`,
      }
      const letter = { topic: topics.deadLetters, key: record.key, value: record.value, headers }
      produce([letter], done)
    },

    async own(partition, generation) {
      const record = ownerRecord(key, partition, generation, options.instance, options.now())
      await producer.send([record])
    },
  }
}

/** Calls `done` after two calls, with the first error of them. */
function both(done: Done): Done {
  let left = 2
  let failure: Error | undefined
  return (error) => {
    failure ??= error
    left -= 1
    if (left === 0) done(failure)
  }
}

/** The envelope of a message that follows from `source`. */
function envelopeOf(source: Envelope, message: OutputMessage, traceparent: string): Envelope {
  const { meta: from } = source
  const meta: MessageMeta = {
    v: 1,
    kind: message.kind,
    run: from.run,
    plan: from.plan,
    planOffset: from.planOffset,
    step: message.target.name,
    edge: message.edge.index,
    item: message.item,
    counts: message.counts,
    attempt: 1,
    priority: from.priority,
    createdAt: from.createdAt,
    notAfter: from.notAfter,
    ...(message.digest !== undefined && { digest: message.digest }),
    ...(from.reexecution !== undefined && { reexecution: from.reexecution }),
    ...(from.replay !== undefined && { replay: from.replay }),
    ...(from.enc !== undefined && { enc: from.enc }),
  }
  return { ...source, id: message.id, cause: source.id, traceparent, meta }
}
