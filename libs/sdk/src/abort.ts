export type AbortKind = 'timeout' | 'deadline' | 'cancelled' | 'shutdown'

const ABORT = Symbol.for('weir.abort')

const SENTENCES: Record<AbortKind, string> = {
  timeout: 'The task ran into its timeout',
  deadline: 'The run is past its deadline',
  cancelled: 'The run is over',
  shutdown: 'The instance is stopping',
}

/** The reason of a task's AbortSignal. The name is the one that libraries look for. */
export class TaskAbort extends Error {
  readonly [ABORT] = true
  readonly kind: AbortKind

  constructor(kind: AbortKind) {
    super(SENTENCES[kind])
    this.name = 'AbortError'
    this.kind = kind
  }
}

/** What the reason of an abort says; one that is not ours means that the run is over. */
export function abortKindOf(reason: unknown): AbortKind {
  return typeof reason === 'object' && reason !== null && ABORT in reason
    ? (reason as TaskAbort).kind
    : 'cancelled'
}
