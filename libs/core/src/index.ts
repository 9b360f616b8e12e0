export { decideJoin } from './join/decide.ts'
export { addPart, type OpenJoin, openJoin } from './join/open-join.ts'
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
  createSchedule,
  type Place,
  type Schedule,
  type ScheduleOptions,
} from './schedule/schedule.ts'
export { type CommitMetadata, decodeMetadata, encodeMetadata } from './watermark/metadata.ts'
export { createWatermark, type Watermark } from './watermark/watermark.ts'
