import type { Run } from '../context.ts'
import type { Format } from '../output/output.ts'

/** What live names a shell can complete. */
export type NameKind = 'pipelines' | 'stages' | 'jobs' | 'contexts'

export type OptionSpec = {
  /** As help shows it: `-d, --data <json>`. */
  readonly flags: string
  readonly text: string
  readonly choices?: readonly string[]
  /** May be given several times; its value is a list. */
  readonly isList?: boolean
  readonly completes?: NameKind
}

export type ArgumentSpec = {
  /** `<pipeline>`, `[name]`. */
  readonly name: string
  readonly text: string
  readonly choices?: readonly string[]
  readonly completes?: NameKind
}

export type Example = readonly [command: string, text: string]

/** One command, as data: help, completion and the reference are made from it. */
export type CommandSpec = {
  readonly name: string
  readonly aliases?: readonly string[]
  /** Heading of the list of commands under which it stands. */
  readonly group?: string
  readonly summary: string
  readonly more?: string
  readonly args?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  readonly examples?: readonly Example[]
  /** Talks to the API, so it has the options that say to which. */
  readonly isRemote?: boolean
  /** Forms its result can have; the first is the default. */
  readonly formats?: readonly Format[]
  readonly isHidden?: boolean
  readonly children?: readonly CommandSpec[]
  /** Loaded when it runs, so that no command waits for the code of another. */
  readonly load?: () => Promise<Run>
}

export const ALL_FORMATS: readonly Format[] = ['table', 'json', 'yaml', 'name']

export const remoteOptions: readonly OptionSpec[] = [
  { flags: '--api <url>', text: 'address of the API (WEIR_API; else the context’s)' },
  { flags: '--key-file <file>', text: 'file that holds the key (instead of WEIR_KEY)' },
  { flags: '--context <name>', text: 'context to use (WEIR_CONTEXT)', completes: 'contexts' },
  { flags: '--tenant <id>', text: 'operators: the tenant to act in; with --reason' },
  { flags: '--reason <text>', text: 'operators: why; it is written to the tenant’s audit log' },
]

export const colorOption: OptionSpec = { flags: '--no-color', text: 'no colors (NO_COLOR)' }

export function formatOption(formats: readonly Format[]): OptionSpec {
  const text = `form of the result: ${formats.join(', ')}`
  return { flags: '-o, --output <form>', text, choices: formats }
}

/** Every option of a command, also those that all commands of its kind have. */
export function optionsOf(spec: CommandSpec): readonly OptionSpec[] {
  if (spec.load === undefined) return []
  return [
    ...(spec.options ?? []),
    ...(spec.formats === undefined ? [] : [formatOption(spec.formats)]),
    ...(spec.isRemote === true ? remoteOptions : []),
    colorOption,
  ]
}

export const yesOption: OptionSpec = { flags: '-y, --yes', text: 'do not ask' }
