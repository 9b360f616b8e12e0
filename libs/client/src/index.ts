export type { AuditEntry, AuditFilter, AuditPage } from './audit.ts'
export { type Client, createClient } from './client.ts'
export { ClientError, type ClientErrorCode } from './client-error.ts'
export type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetterGroup,
  DeadLetterPick,
} from './dead-letters.ts'
export type { FollowOptions } from './follow-events.ts'
export type { Flow, FlowStage, Readiness, Usage, Whoami } from './installation.ts'
export type {
  ItemCounts,
  Job,
  JobArtifact,
  JobError,
  JobRequest,
  JobRun,
  JobStep,
  JobSummary,
  WaitingFor,
} from './job.ts'
export type {
  BatchAnswer,
  BatchJob,
  CancelCounts,
  GetJobOptions,
  JobCounts,
  JobFilter,
  JobPage,
  JobSelection,
  SubmitOptions,
  WaitOptions,
} from './jobs.ts'
export type { ApiKey, KeyRequest, TenantRole } from './keys.ts'
export type {
  Page,
  Pipeline,
  PipelineSource,
  PipelineSummary,
  PipelineVersion,
  PipelineVersionSummary,
  Published,
  Validation,
} from './pipelines.ts'
export type { Replay, ReplayOperation, ReplayPlan, ReplayRequest, ReplayScope } from './replays.ts'
export {
  STAGE_OPERATIONS,
  type Stage,
  type StageContract,
  type StageInstance,
  type StageOperation,
  type StageSettings,
  type StageTelemetry,
} from './stages.ts'
export {
  QUOTA_NAMES,
  type QuotaName,
  type Quotas,
  type Tenant,
  type TenantChange,
} from './tenants.ts'
export type { ClientOptions, RetryOptions } from './transport.ts'
