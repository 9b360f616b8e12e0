import {
  digestOf,
  type Envelope,
  encodeEnvelope,
  hash128,
  type MessageId,
  ownMac,
  type TicketKey,
  verifyOwnMac,
} from '@weir/contracts'
import type { OutRecord, TopicPartition } from '@weir/kafka'

/** What decides in an own message, in the order in which the proof is made over it. */
function fieldsOf({ id, cause, job, tenant, meta }: Envelope, value: string): (string | number)[] {
  return [
    id,
    meta.kind,
    meta.gen ?? '',
    meta.step,
    meta.item,
    meta.attempt,
    job,
    meta.run,
    tenant,
    digestOf(value),
    cause,
    meta.plan,
    meta.edge,
    meta.counts.join('.'),
    meta.notAfter,
    meta.notBefore ?? '',
    meta.of ?? '',
    meta.reexecution ?? '',
  ]
}

/** The envelope of an own message with its proof. */
export function signOwn(key: TicketKey, envelope: Envelope, value: string): Envelope {
  const mac = ownMac(key, fieldsOf(envelope, value))
  return { ...envelope, meta: { ...envelope.meta, mac } }
}

/** True where one of the stage's keys has made the proof over just this message. */
export function isOwn(keys: readonly TicketKey[], envelope: Envelope, value: string): boolean {
  const { mac } = envelope.meta
  return typeof mac === 'string' && verifyOwnMac(keys, fieldsOf(envelope, value), mac)
}

/** Binds an owner record to its partition: a copy in another one proves nothing there. */
export function ownerId({ topic, partition }: TopicPartition, generation: number): MessageId {
  return hash128('owner', topic, partition, generation) as MessageId
}

/** The record by which an instance says that it owns a partition from here on. */
export function ownerRecord(
  key: TicketKey,
  { topic, partition }: TopicPartition,
  generation: number,
  instance: string,
  nowMs: number,
): OutRecord {
  const at = Math.floor(nowMs)
  const value = JSON.stringify({ v: 1, instance })
  const envelope: Envelope = {
    id: ownerId({ topic, partition }, generation),
    cause: '',
    tenant: '',
    job: '',
    correlation: '',
    traceparent: '',
    ticket: '',
    meta: {
      v: 1,
      kind: 'owner',
      run: 0,
      plan: '',
      planOffset: 0,
      step: '',
      edge: -1,
      item: '',
      counts: [],
      attempt: 1,
      priority: 0,
      createdAt: at,
      notAfter: at,
      gen: generation,
    },
  }
  const headers = encodeEnvelope(signOwn(key, envelope, value))
  return { topic, partition, key: 'owner', value, headers }
}
