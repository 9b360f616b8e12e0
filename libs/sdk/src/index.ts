export { TaskAbort } from './abort.ts'
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
export type { Clock } from './clock.ts'
export type {
  ArtifactContent,
  Budget,
  Cleanup,
  GatherManifest,
  InstanceContext,
  JoinView,
  MissingReason,
  StageContext,
  TaskFields,
} from './context.ts'
export { defineStage } from './define-stage.ts'
export { INJECTED_FAULTS, type InjectedFault } from './injected-fault.ts'
export type { ErrorAction, Interceptor, ShortCircuit } from './interceptor.ts'
export type { CancelValue, Outcome, OutcomeValue, RouteValue, SkipValue } from './outcome.ts'
export { runBatchTasks, runTask } from './run-task.ts'
export type { JsonSchema, Schema } from './schema.ts'
export type { Returned, Stage, StageDefinition } from './stage.ts'
export type { Task, TaskResult } from './task.ts'
export { Permanent, Transient } from './task-errors.ts'
export { type TestResult, type TestTask, testStage } from './test-stage.ts'
export { finalOutcome } from './to-outcome.ts'
export type { TaskTeller } from './told.ts'
