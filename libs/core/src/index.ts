export { capForTenant } from './fairness/cap-for-tenant.ts'
export { type BandCredits, NO_CREDITS, shareBands } from './fairness/share-bands.ts'
export { GATE_KNOWN_MS } from './gate/believe-gate.ts'
export { countLag } from './gate/count-lag.ts'
export {
  decideGate,
  type GateDecision,
  type GateState,
  gapAt,
  type StageLoad,
} from './gate/decide-gate.ts'
export { createDrainRate, type DrainRate, isBacklog, lagToMs } from './gate/drain-rate.ts'
export { findBottleneck } from './gate/find-bottleneck.ts'
export { createGates, type Gate, type Gates } from './gate/gates.ts'
export { createOffsetTimes, type OffsetTimes } from './gate/offset-times.ts'
export { type ScaleState, wantInstances } from './gate/want-instances.ts'
export {
  createLogHistogram,
  EMPTY_LATENCY,
  type LogHistogram,
  mergeLatencies,
  quantileOf,
} from './latency/log-histogram.ts'
export { checkMessage } from './message/check.ts'
export { inputsOf, type OutputMessage, outputsOf, stepOf } from './message/outputs.ts'
export type { JoinedBody, MissingInput } from './message/result.ts'
export {
  type Command,
  createPartition,
  type DeadLetter,
  type Incoming,
  type Partition,
  type PartitionOptions,
  type Reported,
  type Task,
  type TaskEnd,
  type Timing,
} from './partition/partition.ts'
export { type CheckedPipeline, checkPipeline } from './plan/check-pipeline.ts'
export { compilePlan } from './plan/compile-plan.ts'
export { findMismatch } from './plan/find-mismatch.ts'
export type { KnownStage } from './plan/known-stage.ts'
export { parsePipeline } from './plan/parse-pipeline.ts'
export { nextDelayMs } from './retry/next-delay.ts'
export { acceptReport, type NewEvent } from './run/accept-report.ts'
export {
  type CancelOrder,
  cancelQueued,
  cancelRequested,
  dropQueued,
} from './run/cancel-run.ts'
export { decideRun, needsFence, type RunDecision, terminalEvent } from './run/decide-run.ts'
export { foldEvent } from './run/fold-event.ts'
export { heldSlots } from './run/held-slots.ts'
export { type JobView, projectJob, type WaitingFor } from './run/project-job.ts'
export { indexRun } from './run/run-index.ts'
export { isStepReported, type RunState, startRun } from './run/run-state.ts'
export { createSchedule, type Place } from './schedule/schedule.ts'
export { type CommitMetadata, decodeMetadata, encodeMetadata } from './watermark/metadata.ts'
