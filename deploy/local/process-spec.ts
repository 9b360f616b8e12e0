/** A long-running process as the supervisor runs it. */
export type ProcessSpec = {
  /** Unique in an installation; also the name of its log file. */
  readonly name: string
  readonly argv: readonly [string, ...string[]]
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly uid?: number
  readonly gid?: number
  /** Ready when a GET of this answers 2xx. */
  readonly readyUrl?: string
  /** Ready when this answers true; asked again and again. */
  readonly isReady?: (pid: number) => Promise<boolean>
  /** How long it may take to become ready; 60 s when not given. */
  readonly readyTimeoutMs?: number
  /** Whether it is started again when it ends by itself; true when not given. */
  readonly restart?: boolean
  /** What asks it to stop; SIGTERM when not given. */
  readonly stopSignal?: NodeJS.Signals
  /** Higher tiers are stopped first, a tier at once; 0 when not given. */
  readonly tier?: number
}
