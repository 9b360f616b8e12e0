const KiB = 1024
const MiB = 1024 * KiB

/** Every bound that more than one package keeps. Names end in their unit. */
export const limits = {
  inputBytes: MiB,
  outputBytes: MiB,
  requestBytes: MiB + 64 * KiB,
  batchBytes: 16 * MiB,
  batchJobs: 10_000,
  joinedBytes: 8 * MiB,
  /** Outputs up to this size stand in the job's log, larger ones in `payloads`. */
  inlineOutputBytes: 64 * KiB,
  keptOutputBytesPerRun: 64 * MiB,
  keptArtifactBytesPerRun: 64 * MiB,
  /** What a handler tells: its events, and what it makes beside its output. */
  eventBytes: 4 * KiB,
  eventNameLength: 64,
  eventsPerAttempt: 1_000,
  artifactBytes: MiB,
  artifactsPerAttempt: 64,
  artifactNameLength: 128,
  /** Progress, events and artifacts together: a log has to stay readable. */
  toldPerRun: 10_000,
  pipelineSteps: 200,
  pipelineEdges: 1_000,
  pipelineBytes: 256 * KiB,
  /** Product of `maxItems` over nested fan-outs. */
  fanOutItems: 10_000,
  nesting: 4,
  jsonDepth: 32,
  jsonKeys: 100_000,
  schemaBytes: 64 * KiB,
  schemaDepth: 20,
  schemaNodes: 500,
  schemaBranches: 50,
  tags: 16,
  tagKeyLength: 64,
  tagValueLength: 256,
  idempotencyKeyLength: 255,
  orderingKeyLength: 255,
  waitMs: 60_000,
  /** A run ends at the latest this long after its dispatch. */
  runMaxMs: 24 * 3_600_000,
  parkedRetriesPerPartition: 256,
  openFences: 100_000,
  /** An instance that has not confirmed the fences for this long starts nothing. */
  fenceFreshMs: 3_000,
  /** A fenced run without a running task ends at the latest this long after its fence. */
  fenceSettleMs: 4_000,
  planHoldMs: 30_000,
  commitIntervalMs: 250,
  commitMetadataBytes: 4_096,
} as const

/** What is filled in where a pipeline or stage says nothing (features.md §6). */
export const defaults = {
  timeoutMs: 30_000,
  retry: { attempts: 3, baseMs: 1_000, maxMs: 30_000, backoff: 'exponential', jitter: 'full' },
  maxItems: 1_000,
  bufferRecordsMax: 10_000,
  latencyBudgetMs: 60_000,
  priority: 128,
  partitions: 4,
  inFlightMax: 1_000,
  targetDelayMs: 1_000,
  concurrency: 16,
  sessionTimeoutMs: 10_000,
  stopGraceMs: 10_000,
  idempotencyTtlMs: 24 * 3_600_000,
  cleanupMs: 10_000,
} as const
