import { WeirError } from '@weir/contracts'
import type { Admitted } from './admission.ts'

type Refused = Extract<Admitted, { readonly outcome: 'refused' }>

const RETRY_MAX_S = 60

/**
 * A refused submit as an error. How long to wait: for the rate the time until the tokens are there,
 * for a full queue the time since it last had room; up to a fifth more, so that clients that were
 * refused together do not come back together.
 */
export function toRefusal(
  refused: Refused,
  sinceAdmittedMs: number,
  random = Math.random,
): WeirError {
  const { quota, retryAfterMs } = refused
  const jitter = 1 + random() / 5
  const retry = (ms: number) => Math.min(RETRY_MAX_S, Math.ceil((Math.max(ms, 1) * jitter) / 1_000))
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
      return new WeirError('quota_exceeded', 'The tenant’s queue is full.', {
        retryAfterS: retry(Math.min(Math.max(sinceAdmittedMs, 1_000), 30_000)),
        members,
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

/** An idempotency key that was used with another body; `path` is where it stands in the request. */
export function toMismatch(path: string): WeirError {
  const message = 'was used with another body'
  return new WeirError('idempotency_mismatch', 'An idempotency key was used with another body.', {
    errors: [{ path, code: 'idempotency_mismatch', message }],
  })
}
