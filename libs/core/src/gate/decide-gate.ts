import type { GateRecord, StageRecord } from '@weir/contracts'

export type GateDecision = Pick<GateRecord, 'state' | 'inFlightLimit' | 'reason'>

/**
 * What a stage's gate is to be. So far the operator decides: open with the limit of the registration
 * while the stage is active, closed else. What is measured comes in here and changes nothing yet.
 */
export function decideGate(stage: Pick<StageRecord, 'state' | 'inFlightMax'>): GateDecision {
  if (stage.state === 'active') {
    return { state: 'open', inFlightLimit: stage.inFlightMax, reason: '' }
  }
  return { state: 'closed', inFlightLimit: 0, reason: stage.state }
}
