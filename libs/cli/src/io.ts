export type TextStream = {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** All that a command touches outside of itself, so that tests can run it in their own process. */
export type Io = {
  /** Results. */
  readonly stdout: TextStream
  /** Messages and progress. */
  readonly stderr: TextStream
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
}
