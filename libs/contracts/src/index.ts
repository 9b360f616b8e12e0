export { type Access, PLATFORM_ROLES, platformAccess, stageAccess } from './access.ts'
export {
  type AuditAction,
  type AuditDetail,
  auditActions,
  type DenialCause,
} from './audit-actions.ts'
export { canonicalJson } from './canonical.ts'
export {
  DISPATCHER_KEY,
  type DispatcherRecord,
  type FenceRecord,
  fenceKey,
  GATE_BEAT_KEY,
  type GateBeat,
  type GateRecord,
  gateKey,
  type InstanceRecord,
  type LatencyRecord,
  type LeaderClaim,
  type StageCounters,
  type StageFigures,
  type StageRecord,
  stageKey,
} from './control-records.ts'
export { DEAD_LETTER_HEADERS } from './dead-letters.ts'
export { type ErrorCode, errorTable, type FieldError, WeirError } from './errors.ts'
export {
  digestOf,
  edgeMessageId,
  hash128,
  idempotencyKeyOf,
  isUuid,
  type JobId,
  type MessageId,
  newUuid,
  ownMessageId,
} from './ids.ts'
export { eventSchemaName, jobEventSchemas } from './job-event-schemas.ts'
export {
  JOB_EVENT_TYPES,
  type JobEvent,
  type JobEventData,
  type JobEventType,
} from './job-events.ts'
export type { JoinPolicy } from './join-policy.ts'
export { defaults, limits } from './limits.ts'
export {
  childItem,
  decodeEnvelope,
  depthOf,
  type EdgeMessageKind,
  type Envelope,
  encodeEnvelope,
  HEADERS,
  itemIndex,
  type MessageMeta,
  OWN_KINDS,
  type OwnMessageKind,
  parentItem,
  recordKey,
} from './message.ts'
export {
  type EdgeDocument,
  PIPELINE_NAME,
  type PipelineDocument,
  pipelineSchema,
  type RetryDocument,
  retrySchema,
  type StepDocument,
} from './pipeline.ts'
export type { Plan, PlanEdge, PlanStep, RetryPolicy } from './plan.ts'
export { parseStageRef, type StageRef, stageRefOf } from './stage-ref.ts'
export {
  BANDS,
  bandOf,
  type ErrorClass,
  FAILURE_MODES,
  type FailureMode,
  isTerminal,
  JOB_STATUSES,
  type JobStatus,
  LANES,
  type Lane,
  laneOf,
  ROLES,
  type Role,
  STAGE_KINDS,
  STAGE_STATES,
  STEP_STATUSES,
  type StageKind,
  type StageState,
  type StepStatus,
  type TaskError,
  type TerminalStatus,
} from './states.ts'
export {
  deriveTicketKey,
  findTag,
  formatTicketKey,
  ownMac,
  parseTicketKey,
  type TicketClaims,
  type TicketKey,
  tagFor,
  verifyOwnMac,
  verifyTicket,
  writeTicket,
} from './ticket.ts'
export { createTopics, type Topics } from './topics.ts'
export {
  ALL_ITEMS,
  type ChangeRecord,
  LOST_REASONS,
  type LostEvents,
  type LostReason,
  PAYLOAD_HEADERS,
  type PayloadKind,
  type ReportStatus,
  type RunChange,
  type RunReports,
  type StageEvent,
  type TaskProgress,
  type TaskReport,
  type TransitionRecord,
} from './transitions.ts'
