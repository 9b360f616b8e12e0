import { Command, CommanderError, Option } from 'commander'
import type { TargetOptions } from './config/target.ts'
import type { Context, Run } from './context.ts'
import type { ExitCode } from './exit-codes.ts'
import type { Io } from './io.ts'
import { createOutput, type Format } from './output/output.ts'
import { type CommandSpec, colorOption, optionsOf, remoteOptions } from './tree/spec.ts'
import { tree } from './tree/tree.ts'
import { formatVersions, readVersions } from './versions.ts'

type Values = TargetOptions & { output?: Format; color?: boolean; json?: boolean }

/** Runs the command line `args` (without `node` and script) and gives its exit status. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let complaint = ''
  let status = 0
  const act = async (spec: CommandSpec, words: Context['args'], values: Values): Promise<void> => {
    status = (await perform(spec, words, values, io)) ?? 0
  }
  const program = build(io, act, (text) => {
    complaint += text
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return status
  } catch (error) {
    return report(error, complaint, args, io)
  }
}

async function perform(spec: CommandSpec, args: Context['args'], values: Values, io: Io) {
  const runCommand = (await spec.load?.()) as Run<Values> | undefined
  const format = values.output ?? (values.json === true ? 'json' : (spec.formats?.[0] ?? 'table'))
  const context: Context = {
    args,
    io,
    tree,
    out: createOutput(io, format, values.color !== false),
    say: (line) => io.stderr.write(`${line}\n`),
    async connect(overrides) {
      const { connect } = await import('./config/connect.ts')
      return connect(values, io, overrides)
    },
  }
  return runCommand?.(context, values)
}

async function report(
  error: unknown,
  complaint: string,
  args: readonly string[],
  io: Io,
): Promise<number> {
  const isJson = wantsJson(args)
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0
    // Help that nobody asked for, in place of a command.
    if (isJson) writeJson(io, 'usage', complaint.trim() || error.message, 'weir --help')
    else io.stderr.write(complaint)
    return 2 satisfies ExitCode
  }
  if (io.signal.aborted) {
    if (isJson) writeJson(io, 'interrupted', 'interrupted')
    return 130 satisfies ExitCode
  }
  const { toFailure } = await import('./failure.ts')
  const { message, hint, code, exitCode } = toFailure(error)
  if (isJson) writeJson(io, code, message, hint)
  else io.stderr.write(`weir: ${message}\n${hint === undefined ? '' : `  hint: ${hint}\n`}`)
  return exitCode
}

function writeJson(io: Io, code: string, message: string, hint?: string): void {
  const error = { code, message, ...(hint === undefined ? {} : { hint }) }
  io.stderr.write(`${JSON.stringify({ error })}\n`)
}

/** A command line that cannot be parsed has said how it wants its errors all the same. */
function wantsJson(args: readonly string[]): boolean {
  return args.some(
    (arg, at) =>
      arg === '--json' ||
      arg === '-ojson' ||
      arg === '--output=json' ||
      (arg === 'json' && ['-o', '--output'].includes(args[at - 1] ?? '')),
  )
}

type Act = (spec: CommandSpec, args: Context['args'], values: Values) => Promise<void>

function build(io: Io, act: Act, complain: (text: string) => void): Command {
  const program = new Command('weir')
    .description('Weir: pipelines of stages on Kafka, with jobs over REST.')
    .usage('<command> [options]')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: complain,
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .version(formatVersions(readVersions()), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nWhere to and as whom: WEIR_API and WEIR_KEY, or a context (weir context set --help).\n' +
        'Exit status: 0 ok, 1 failed, 2 usage, 3 not found, 4 credential, 5 conflict, 6 timed out,\n' +
        '  7 unreachable, 8 in part, 130 interrupted.\n\nExamples:\n' +
        '  weir up && weir context use local\n' +
        `  weir submit hello -d '{"values":[1,2,3]}' --wait\n` +
        '  weir get jobs --status failed',
    )
  // In front of the command they mean the same as behind it.
  for (const { flags, text } of [...remoteOptions, colorOption]) {
    program.addOption(new Option(flags, text).hideHelp())
  }
  for (const spec of tree) {
    add(program, spec, (own, words, values) => {
      const before: Values = program.opts()
      const color = before.color !== false && values.color !== false
      return act(own, words, { ...before, ...values, color })
    })
  }
  return program
}

function add(parent: Command, spec: CommandSpec, act: Act): void {
  const command = parent
    .command(spec.name, { hidden: spec.isHidden === true })
    .summary(spec.summary)
    .description(spec.more === undefined ? `${spec.summary}.` : `${spec.summary}.\n\n${spec.more}`)
    .aliases([...(spec.aliases ?? [])])
  if (spec.group !== undefined) command.helpGroup(spec.group)
  for (const argument of spec.args ?? []) {
    const made = command.createArgument(argument.name, argument.text)
    command.addArgument(argument.choices === undefined ? made : made.choices(argument.choices))
  }
  for (const { flags, text, choices, isList } of optionsOf(spec)) {
    const option = new Option(flags, text)
    if (choices !== undefined) option.choices([...choices])
    if (isList === true) collect(option)
    command.addOption(option)
  }
  if (spec.examples !== undefined) {
    const lines = spec.examples.map(
      ([line, text]) => `  ${line}${text === '' ? '' : `\n      ${text}`}`,
    )
    command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`)
  }
  for (const child of spec.children ?? []) add(command, child, act)
  // Words that look like options are words there, whatever they are.
  if (spec.name === '__complete') command.passThroughOptions().allowUnknownOption()
  if (spec.load === undefined) return
  command.action(async (...given: unknown[]) => {
    const words = given.slice(0, -2).flat() as Context['args']
    await act(spec, words, given.at(-2) as Values)
  })
}

/** Each use of the flag adds to the list; commander's own check of choices stays in front. */
function collect(option: Option): void {
  const parse = option.parseArg
  option.argParser((value: string, before: string[] | undefined) => {
    parse?.(value, undefined as never)
    return [...(before ?? []), value]
  })
}
