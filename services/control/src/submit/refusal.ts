import { WeirError } from '@weir/contracts'
import type { Pressure } from '../flow/path-pressure.ts'
import type { Admitted } from './admission.ts'

type Refused = Extract<Admitted, { readonly outcome: 'refused' }>

const RETRY_MAX_S = 60

/**
 * A refused submit as an error. How long to wait: for the rate the time until the tokens are there,
 * for a full queue the time since it last had room, and where a closed gate holds it up half of the time
 * that the stage needs for what is before it; up to a fifth more, so that clients that were refused
 * together do not come back together.
 * @param pressure what holds the pipeline up, where something does: then it is not the tenant's doing
 */
export function toRefusal(
  refused: Refused,
  sinceAdmittedMs: number,
  pressure?: Pressure,
  random = Math.random,
): WeirError {
  const { quota, retryAfterMs } = refused
  const retry = (ms: number) => retryAfterS(ms, random)
  const members = { cause: 'tenant', quota }
  switch (quota) {
    case 'submitRatePerSecond': {
      if (retryAfterMs === null) {
        return new WeirError('quota_exceeded', 'The batch is larger than the burst of the quota.', {
          retryAfterS: RETRY_MAX_S,
          members,
        })
      }
      return new WeirError('rate_limited', 'The tenant submits faster than its quota allows.', {
        retryAfterS: retry(retryAfterMs),
        members,
      })
    }
    case 'maxQueuedJobs':
      return pressure === undefined
        ? new WeirError('quota_exceeded', 'The tenant’s queue is full.', {
            retryAfterS: retry(fullForMs(sinceAdmittedMs)),
            members,
          })
        : new WeirError('backpressure', `The tenant’s queue is full: ${why(pressure)}.`, {
            retryAfterS: retry(untilRoomMs(pressure, sinceAdmittedMs)),
            members: { cause: 'platform', quota, stage: pressure.stage },
          })
    case 'maxStoredBytes':
      return new WeirError('quota_exceeded', 'The tenant stores as many bytes as it may.', {
        retryAfterS: retry(30_000),
        members,
      })
    case 'maxPayloadBytes':
      return new WeirError('payload_too_large', 'The input is larger than the tenant’s quota.', {
        members,
      })
    default:
      return quota satisfies never
  }
}

/**
 * The answer of a pipeline that refuses rather than queues, and whose path has no room at a stage.
 * @param pressure what holds the pipeline up, where more does than that the stage is busy
 */
export function toNoRoom(
  stage: string,
  sinceAdmittedMs: number,
  pressure?: Pressure,
  random = Math.random,
): WeirError {
  const detail = pressure === undefined ? `stage ${stage} has as much as it may` : why(pressure)
  const ms =
    pressure === undefined ? fullForMs(sinceAdmittedMs) : untilRoomMs(pressure, sinceAdmittedMs)
  return new WeirError('backpressure', `The pipeline has no room for now: ${detail}.`, {
    retryAfterS: retryAfterS(ms, random),
    members: { cause: 'platform', stage: pressure?.stage ?? stage },
  })
}

const fullForMs = (sinceAdmittedMs: number) => Math.min(Math.max(sinceAdmittedMs, 1_000), 30_000)

/** A closed gate opens when half of what is too much is done. */
function untilRoomMs({ state, lagMs }: Pressure, sinceAdmittedMs: number): number {
  const drainMs = state === 'closed' ? (lagMs ?? 0) / 2 : 0
  return Math.max(fullForMs(sinceAdmittedMs), drainMs)
}

function why({ stage, state, reason }: Pressure): string {
  return `stage ${stage} lets ${state === 'closed' ? 'nothing' : 'less'} in (${reason})`
}

function retryAfterS(ms: number, random: () => number): number {
  const jitter = 1 + random() / 5
  return Math.min(RETRY_MAX_S, Math.ceil((Math.max(ms, 1) * jitter) / 1_000))
}

/** An idempotency key that was used with another body; `path` is where it stands in the request. */
export function toMismatch(path: string): WeirError {
  const message = 'was used with another body'
  return new WeirError('idempotency_mismatch', 'An idempotency key was used with another body.', {
    errors: [{ path, code: 'idempotency_mismatch', message }],
  })
}
