import type { Client, ClientOptions } from '@weir/client'
import type { Io } from './io.ts'
import type { Output } from './output/output.ts'
import type { CommandSpec } from './tree/spec.ts'

/** What a command is given to work with. */
export type Context = {
  readonly args: readonly (string | undefined)[]
  readonly io: Io
  readonly out: Output
  /** All commands there are. */
  readonly tree: readonly CommandSpec[]
  /** A message for people, on stderr. */
  say(line: string): void
  /** The API under the credential that flags, environment and contexts name. */
  connect(overrides?: Pick<ClientOptions, 'retry'>): Promise<Client>
}

/** Runs a command; a number is its exit status, nothing is 0. */
export type Run<Options = never> = (
  context: Context,
  options: Options,
) => Promise<number> | Promise<void>
