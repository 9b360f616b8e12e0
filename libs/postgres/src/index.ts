export { bootstrap, closeDatabase, withDatabase } from './bootstrap.ts'
export { checkRole } from './check-role.ts'
export { withClient } from './client.ts'
export { constraintOf, toWeirError } from './errors.ts'
export { type Lease, releaseLease, renewLease, takeLease } from './leases.ts'
export { migrate, readMigrations } from './migrate.ts'
export { createPool, type Pool } from './pool.ts'
export { admitJobs, admitJobsIn, type JobAnswer, type NewJob } from './queries/admit.ts'
export { type AuditEntry, type AuditFilter, insertAudit, listAudit } from './queries/audit.ts'
export {
  type CancelRequest,
  type CancelTarget,
  holdForCancel,
  listCancelling,
  markCancelling,
} from './queries/cancel.ts'
export { type ClaimedJob, claimJobs, type Pick } from './queries/claim.ts'
export { advanceClock } from './queries/clock.ts'
export { listContracts, type StageContract, upsertContract } from './queries/contracts.ts'
export {
  commitFolds,
  type Fold,
  type FoldAnswer,
  type NewArtifact,
  type NewPayload,
} from './queries/fold.ts'
export { type InFlightRun, listInFlight, listOverdue, loadClaimed } from './queries/in-flight.ts'
export { readJobLog, readPayloads } from './queries/job-log.ts'
export {
  countJobs,
  endQueuedJobs,
  getJob,
  type Job,
  type JobFilter,
  type JobSummary,
  listJobs,
  listQueueOverflow,
} from './queries/jobs.ts'
export {
  type ApiKey,
  type FoundKey,
  findApiKey,
  insertApiKey,
  listApiKeys,
  revokeApiKey,
} from './queries/keys.ts'
export { adoptPartition, initOffsets, readOffsets } from './queries/offsets.ts'
export { addOutbox, deleteOutbox, readOutbox } from './queries/outbox.ts'
export { readArtifact, readOutputs } from './queries/outputs.ts'
export {
  deletePipeline,
  findSubmitTarget,
  getPipeline,
  getVersion,
  insertVersion,
  listPipelines,
  listVersions,
  openPipeline,
  type PipelineVersion,
  setCurrentVersion,
  setPaused,
} from './queries/pipelines.ts'
export { loadPlans } from './queries/plans.ts'
export { listQueueHeads, type QueueHead } from './queries/queue-heads.ts'
export { getQueueState, getQueueTotal } from './queries/queue-state.ts'
export { reconcileUsage, releaseStranded } from './queries/reconcile.ts'
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
export { findSubmitKeys, sweepSubmitKeys } from './queries/submit-keys.ts'
export {
  deleteTenant,
  getTenant,
  INSTALLATION,
  insertTenant,
  listTenants,
  type Tenant,
  updateTenant,
} from './queries/tenants.ts'
export { getUsage } from './queries/usage.ts'
export { LOGIN_ROLES, type LoginRole, SERVICE_ROLES } from './roles.ts'
export { asRole, asTenant } from './single-statements.ts'
export type { Statement, Tx } from './statement.ts'
export { query, tenantBatch, withTenant, withTransaction } from './transaction.ts'
