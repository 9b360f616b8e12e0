export { type AbortKind, TaskAbort } from './abort.ts'
export { Aborter } from './aborter.ts'
export {
  checkStage,
  findStageFaults,
  STAGE_RULES,
  StageCheckError,
  type StageExample,
  type StageFault,
  type StageRule,
} from './check-stage.ts'
export { classifyThrown } from './classify.ts'
export type { CleanupReport } from './cleanups.ts'
export { type Clock, systemClock } from './clock.ts'
export type {
  Budget,
  Cleanup,
  GatherManifest,
  InstanceContext,
  JoinView,
  MissingReason,
  StageContext,
  TaskFields,
} from './context.ts'
export type { Checked, Contract, ContractFault } from './contract.ts'
export { defineStage } from './define-stage.ts'
export { INJECTED_FAULTS, type InjectedFault } from './injected-fault.ts'
export type { ErrorAction, Interceptor, ShortCircuit } from './interceptor.ts'
export type { CancelValue, Outcome, OutcomeValue, RouteValue, SkipValue } from './outcome.ts'
export type { RecordedSpan } from './recorded-spans.ts'
export { runBatchTasks, runTask } from './run-task.ts'
export type { JsonSchema, Parsed, Schema, Written } from './schema.ts'
export type { Returned, Stage, StageDefinition } from './stage.ts'
export type { RunOptions, Task, TaskResult } from './task.ts'
export { Permanent, Transient } from './task-errors.ts'
export { type TestResult, type TestTask, testStage } from './test-stage.ts'
export { finalOutcome, type Settled, toOutcome } from './to-outcome.ts'
