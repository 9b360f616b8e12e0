export { type BootstrapOptions, bootstrap, closeDatabase, withDatabase } from './bootstrap.ts'
export { checkRole } from './check-role.ts'
export { type ClientOptions, withClient } from './client.ts'
export { dumpSchema } from './dump-schema.ts'
export { constraintOf, sqlStateOf, toWeirError } from './errors.ts'
export { explainDatabase } from './explain.ts'
export { type Lease, releaseLease, renewLease, takeLease } from './leases.ts'
export { type MigrateOptions, type Migration, migrate, readMigrations } from './migrate.ts'
export { createPool, type Pool, type PoolOptions } from './pool.ts'
export {
  admitJobs,
  admitJobsIn,
  type JobAnswer,
  type NewJob,
  type RefusingQuota,
} from './queries/admit.ts'
export { type AuditEntry, insertAudit, listAudit } from './queries/audit.ts'
export { type ClaimedJob, type ClaimRequest, claimJobs, type Pick } from './queries/claim.ts'
export { advanceClock } from './queries/clock.ts'
export { listContracts, type StageContract, upsertContract } from './queries/contracts.ts'
export {
  commitFold,
  commitFolds,
  type EndedRun,
  type Fold,
  type NewPayload,
} from './queries/fold.ts'
export { type InFlightRun, listInFlight, listOverdue, loadClaimed } from './queries/in-flight.ts'
export { type Payload, readJobLog, readPayloads } from './queries/job-log.ts'
export {
  countJobs,
  endQueuedJobs,
  getJob,
  type Job,
  type JobFilter,
  type JobSummary,
  listJobs,
  listQueueOverflow,
  markCancelling,
  type QueuedEnd,
} from './queries/jobs.ts'
export {
  type ApiKey,
  type FoundKey,
  findApiKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
  type TenantRole,
} from './queries/keys.ts'
export {
  adoptPartition,
  initOffsets,
  type PartitionOffset,
  readOffsets,
} from './queries/offsets.ts'
export {
  addOutbox,
  deleteOutbox,
  type OutboxRecord,
  readOutbox,
  type StoredOutboxRecord,
} from './queries/outbox.ts'
export { readOutputs, type StoredOutput } from './queries/outputs.ts'
export {
  deletePipeline,
  findSubmitTarget,
  getPipeline,
  getVersion,
  insertVersion,
  listPipelines,
  listVersions,
  openPipeline,
  type Pipeline,
  type PipelineDraft,
  type PipelineVersion,
  type SubmitTarget,
  setCurrentVersion,
  setPaused,
} from './queries/pipelines.ts'
export { loadPlans, type StoredPlan } from './queries/plans.ts'
export { listQueueHeads, type QueueHead } from './queries/queue-heads.ts'
export { getQueueState, getQueueTotal, type QueueState } from './queries/queue-state.ts'
export { type GaugeDrift, reconcileUsage, releaseStranded } from './queries/reconcile.ts'
export { purgeJobs } from './queries/retention.ts'
export { type LoadedRun, type LogChunk, loadRuns } from './queries/runs.ts'
export {
  getStage,
  insertStage,
  listStages,
  type Stage,
  type StageSettings,
  updateStage,
} from './queries/stages.ts'
export { sweepSubmitKeys } from './queries/submit-keys.ts'
export {
  deleteTenant,
  getTenant,
  INSTALLATION,
  insertTenant,
  listTenants,
  type Quotas,
  type Tenant,
  type TenantChange,
  updateTenant,
} from './queries/tenants.ts'
export { getUsage, type Usage } from './queries/usage.ts'
export {
  LOGIN_ROLES,
  type LoginRole,
  OWNER_ROLES,
  SERVICE_ROLES,
  type ServiceRole,
} from './roles.ts'
export { asRole, asTenant } from './single-statements.ts'
export type { Statement, Tx } from './statement.ts'
export { query, tenantBatch, withTenant, withTransaction } from './transaction.ts'
