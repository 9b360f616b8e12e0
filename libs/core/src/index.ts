export { capForTenant } from './fairness/cap-for-tenant.ts'
export {
  BAND_SHARES,
  type BandCredits,
  type BandShares,
  NO_CREDITS,
  shareBands,
} from './fairness/share-bands.ts'
export { type BelievedState, believeGate, GATE_AGE_AT_START_MS } from './gate/believe-gate.ts'
export { countLag, type PartitionLag, type PartitionState } from './gate/count-lag.ts'
export { decideGate, type GateDecision } from './gate/decide-gate.ts'
export { createDrainRate, type DrainRate, lagToMs } from './gate/drain-rate.ts'
export { type Bottleneck, type FlowLevel, findBottleneck } from './gate/find-bottleneck.ts'
export { createOffsetTimes, type OffsetTimes } from './gate/offset-times.ts'
export { decideJoin } from './join/decide.ts'
export { addPart, type OpenJoin, openJoin } from './join/open-join.ts'
export {
  createLogHistogram,
  EMPTY_LATENCY,
  type LogHistogram,
  mergeLatencies,
  quantileOf,
} from './latency/log-histogram.ts'
export { checkMessage } from './message/check.ts'
export { inputsOf, type OutputMessage, outputsOf, stepOf } from './message/outputs.ts'
export type {
  JoinDecision,
  JoinedBody,
  MissingInput,
  OutcomeBody,
  TaskResult,
} from './message/result.ts'
export {
  type Command,
  type CommitPoint,
  createPartition,
  type DeadLetter,
  type Incoming,
  type Partition,
  type PartitionOptions,
  type Reported,
  type Task,
  type TaskEnd,
  type Timing,
  UNFINISHED_MAX,
} from './partition/partition.ts'
export {
  type CheckedPipeline,
  checkPipeline,
  type PipelineSurroundings,
} from './plan/check-pipeline.ts'
export { compilePlan, type PlanSource } from './plan/compile-plan.ts'
export {
  type EffectiveEdge,
  type EffectivePipeline,
  type EffectiveStep,
  fillDefaults,
} from './plan/effective.ts'
export { findMismatch } from './plan/find-mismatch.ts'
export type { KnownStage } from './plan/known-stage.ts'
export { type ParsedPipeline, parsePipeline } from './plan/parse-pipeline.ts'
export { stagesOnPath } from './plan/stages-on-path.ts'
export { nextDelayMs } from './retry/next-delay.ts'
export {
  type Acceptance,
  acceptReport,
  type IgnoredReason,
  type NewEvent,
} from './run/accept-report.ts'
export { decideRun, needsFence, type RunDecision, terminalEvent } from './run/decide-run.ts'
export { foldEvent } from './run/fold-event.ts'
export { heldSlots } from './run/held-slots.ts'
export {
  type ItemCounts,
  type JobView,
  type ProjectOptions,
  projectJob,
  type RunView,
  type StepView,
  type WaitingFor,
} from './run/project-job.ts'
export { indexRun } from './run/run-index.ts'
export { isStepReported, type JobError, type RunState, startRun } from './run/run-state.ts'
export {
  createSchedule,
  type Place,
  type Schedule,
  type ScheduleOptions,
} from './schedule/schedule.ts'
export { type CommitMetadata, decodeMetadata, encodeMetadata } from './watermark/metadata.ts'
export { createWatermark, type Watermark } from './watermark/watermark.ts'
