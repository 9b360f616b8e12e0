import {
  PAYLOAD_HEADERS,
  type PayloadKind,
  type RunReports,
  type TicketKey,
  type TransitionRecord,
  tagFor,
} from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'

/** A large output, or the content of an artifact, that a stage sent apart from its report. */
export type PayloadReport = {
  readonly kind: PayloadKind
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly step: string
  readonly item: string
  readonly digest: string
  readonly body: Buffer
}

export type EventRecord =
  | { readonly kind: 'reports'; readonly stage: string; readonly runs: readonly RunReports[] }
  | { readonly kind: 'payload'; readonly payload: PayloadReport; readonly claims: Claims }
  | { readonly kind: 'unreadable'; readonly reason: string }

type Claims = Pick<RunReports, 'tenant' | 'job' | 'run' | 'plan' | 'notAfter' | 'tag'>

/** Parses a record of the events topic. Whether its senders may say it is for `isGenuine`. */
export function readEventRecord(record: KafkaRecord): EventRecord {
  if (record.value === null) return { kind: 'unreadable', reason: 'no value' }
  const { headers } = record
  if (headers[PAYLOAD_HEADERS.kind] !== undefined) return readPayload(record)
  let parsed: TransitionRecord
  try {
    parsed = JSON.parse(record.value.toString()) as TransitionRecord
  } catch {
    return { kind: 'unreadable', reason: 'the value is not JSON' }
  }
  if (parsed?.v !== 1 || !Array.isArray(parsed.runs)) {
    return { kind: 'unreadable', reason: 'not a transition record of a known format' }
  }
  return { kind: 'reports', stage: String(parsed.stage), runs: parsed.runs }
}

function readPayload(record: KafkaRecord): EventRecord {
  const { headers } = record
  const header = (name: keyof typeof PAYLOAD_HEADERS) => headers[PAYLOAD_HEADERS[name]] ?? ''
  const identity = { tenant: header('tenant'), job: header('job'), run: Number(header('run')) }
  return {
    kind: 'payload',
    payload: {
      kind: header('kind') === 'artifact' ? 'artifact' : 'output',
      ...identity,
      step: header('step'),
      item: header('item'),
      digest: header('digest'),
      // A copy: it may wait for its run, and the record is a view into all that was fetched with it.
      body: Buffer.from(record.value ?? ''),
    },
    claims: {
      ...identity,
      plan: header('plan'),
      notAfter: Number(header('notAfter')),
      tag: header('tag'),
    },
  }
}

/** True where the ledger's own tag of the run's ticket vouches for tenant, job, run and plan. */
export function isGenuine(keys: readonly TicketKey[], claims: Claims): boolean {
  if (typeof claims.tag !== 'string') return false
  const split = claims.tag.indexOf('=')
  const key = keys.find((candidate) => candidate.id === claims.tag.slice(0, split))
  return key !== undefined && tagFor(key, claims) === claims.tag.slice(split + 1)
}
