export type LauncherErrorCode =
  | 'missing_java'
  | 'missing_maven'
  | 'missing_postgres'
  | 'kafka_download_failed'
  | 'postgres_unusable'
  | 'not_ready'
  | 'already_running'
  | 'invalid_option'
  | 'migration_failed'
  | 'registration_failed'

/** Something that keeps the local installation from starting; the message says what to do. */
export class LauncherError extends Error {
  readonly code: LauncherErrorCode

  constructor(code: LauncherErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LauncherError'
    this.code = code
  }
}
