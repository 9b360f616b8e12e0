import {
  decodeEnvelope,
  type Envelope,
  OWN_KINDS,
  type OwnMessageKind,
  type Plan,
  type PlanStep,
  type TicketKey,
  verifyTicket,
} from '@weir/contracts'
import { checkMessage } from '@weir/core'
import type { KafkaRecord } from '@weir/kafka'
import { isOwn, ownerId } from './own-messages.ts'

/** Why a record is put aside; codes stand in the dead letter's headers. */
export type Refusal = {
  readonly reason: 'malformed' | 'ticket_invalid' | 'plan_unknown' | 'message_invalid'
  readonly detail: string
}

/** A record that is genuine; whether it fits its plan is not known yet. */
export type Message = {
  readonly record: KafkaRecord
  readonly envelope: Envelope
  readonly value: string
}

const ownKinds = new Set<string>(OWN_KINDS)
const isOwnKind = (kind: string): kind is OwnMessageKind => ownKinds.has(kind)

/**
 * Decodes a record and checks that it is genuine: messages on edges by their ticket, messages of the
 * stage to itself by its own proof.
 */
export function readMessage(keys: readonly TicketKey[], record: KafkaRecord): Message | Refusal {
  const envelope = decodeEnvelope(record.headers)
  if (typeof envelope === 'string') return { reason: 'malformed', detail: envelope }
  if (record.value === null) return { reason: 'malformed', detail: 'it has no value' }
  const { meta, tenant, job } = envelope
  const value = record.value.toString()
  if (isOwnKind(meta.kind)) {
    const isGenuine =
      isOwn(keys, envelope, value) &&
      (meta.kind !== 'owner' || envelope.id === ownerId(record, meta.gen ?? 0))
    if (!isGenuine) return { reason: 'ticket_invalid', detail: 'the stage did not write it' }
    return { record, envelope, value }
  }
  // Only own messages may carry a generation: with it, a foreign one could make itself a zombie.
  if (meta.gen !== undefined || meta.of !== undefined || meta.attempt < 1) {
    return { reason: 'malformed', detail: 'an edge message has members of an own message' }
  }
  const claims = { tenant, job, run: meta.run, plan: meta.plan, notAfter: meta.notAfter }
  if (!verifyTicket(envelope.ticket, keys, claims)) {
    return { reason: 'ticket_invalid', detail: 'the ticket does not prove the run' }
  }
  return { record, envelope, value }
}

/** The step that a message is for, or why it fits none. Owner records fit no plan: null. */
export function stepFor(stage: string, plan: Plan, message: Message): PlanStep | Refusal {
  const step = checkMessage(plan, stage, message.envelope)
  return typeof step === 'string' ? { reason: 'message_invalid', detail: step } : step
}
