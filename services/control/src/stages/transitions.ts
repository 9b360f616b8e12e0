import { type StageState, WeirError } from '@weir/contracts'

export const OPERATIONS = ['activate', 'deactivate', 'reactivate', 'terminate'] as const
export type StageOperation = (typeof OPERATIONS)[number]

/** What an operator may ask of a stage in each state, and what it becomes. */
export const transitions: Readonly<
  Record<StageState, Partial<Readonly<Record<StageOperation, StageState>>>>
> = {
  created: { terminate: 'terminating' },
  launched: { activate: 'active', terminate: 'terminating' },
  active: { deactivate: 'deactivated', terminate: 'terminating' },
  deactivated: { reactivate: 'active', terminate: 'terminating' },
  terminating: {},
  terminated: {},
}

/** The state after an operation; throws `invalid_transition` where the state does not allow it. */
export function nextState(state: StageState, operation: StageOperation): StageState {
  const next = transitions[state][operation]
  if (next !== undefined) return next
  throw new WeirError(
    'invalid_transition',
    `A stage that is ${state} cannot be asked to ${operation}.`,
    {
      members: { state, allowed: Object.keys(transitions[state]) },
    },
  )
}
