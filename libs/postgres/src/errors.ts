import { WeirError } from '@weir/contracts'
import pg from 'pg'

/** What the offset comparison of a fold raises (migration 0007). */
export const OFFSET_CONFLICT = 'WR001'

/** What a run raises that would end without the cancel that was asked for (migration 0014). */
export const CANCEL_MISSED = 'WR002'

/** SQLSTATE of an error of the server, undefined for anything else. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined
}

/** Name of the constraint that refused a row, for callers that know what it means. */
export function constraintOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.constraint : undefined
}

/** Locked too long, deadlock, serialization, cancelled: the same again may work. */
const retryable = new Set(['55P03', '40001', '40P01', '57014'])
/** Connection broken, too many, shutting down, read-only after a failover, out of space. */
const unavailableClass = /^(08|53|57P|25006)/

/**
 * The error as the API may tell it. The message never holds what the database said: that may name
 * rows and values; it stays in `cause` for the log.
 */
export function toWeirError(error: unknown): WeirError {
  if (WeirError.is(error)) return error
  const state = sqlStateOf(error)
  if (state === undefined) {
    // No answer of the server: the connection failed, or none was free in time.
    return isConnectionError(error)
      ? new WeirError('unavailable', 'The database does not answer', {
          cause: error,
          retryAfterS: 1,
        })
      : new WeirError('internal', 'The request failed', { cause: error })
  }
  if (retryable.has(state) || unavailableClass.test(state)) {
    return new WeirError('unavailable', 'The database is busy', { cause: error, retryAfterS: 1 })
  }
  if (state === '23505') {
    return new WeirError('conflict', 'There is already such a thing', { cause: error })
  }
  // Text with a NUL, or a number out of its range, that passed the door.
  if (state === '22021' || state === '22P05' || state === '22003') {
    return new WeirError('invalid_request', 'A value cannot be stored', { cause: error })
  }
  return new WeirError('internal', 'The request failed', { cause: error })
}

function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string') return /^E[A-Z]+$/.test(error.code)
  return /connect|connection|timeout|terminated|closed/i.test(error.message)
}
