import { TaskAbort } from './abort.ts'

/**
 * What can befall a task of a distributed system and be tried in a test:
 * - `cancel`, `shutdown`: the run is over, or the instance stops, while the handler runs.
 * - `timeout`: the handler's time is up at once.
 * - `redelivery`: it runs, and its report is lost; it runs again, as if for the first time.
 * - `second_attempt`: it runs, and is tried again.
 */
export const INJECTED_FAULTS = [
  'cancel',
  'shutdown',
  'timeout',
  'redelivery',
  'second_attempt',
] as const
export type InjectedFault = (typeof INJECTED_FAULTS)[number]

type Change = {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
  readonly attempt?: number
}

/** The runs that a fault makes of one, each with what differs from an undisturbed run. */
export function runsUnder(fault: InjectedFault): readonly Change[] {
  switch (fault) {
    case 'cancel':
      return [{ signal: abortSoon(new TaskAbort('cancelled')) }]
    case 'shutdown':
      return [{ signal: abortSoon(new TaskAbort('shutdown')) }]
    case 'timeout':
      return [{ timeoutMs: 1 }]
    case 'redelivery':
      return [{}, {}]
    case 'second_attempt':
      return [{ attempt: 1 }, { attempt: 2 }]
  }
}

/** In the turn after this one the handler has begun. */
function abortSoon(reason: TaskAbort): AbortSignal {
  const controller = new AbortController()
  setImmediate(() => controller.abort(reason))
  return controller.signal
}
