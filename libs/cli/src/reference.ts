import { exitCodeMeanings } from './exit-codes.ts'
import {
  type CommandSpec,
  colorOption,
  type OptionSpec,
  optionsOf,
  remoteOptions,
} from './tree/spec.ts'
import { tree } from './tree/tree.ts'

/** docs/reference/cli.md, from the tree of commands. */
export function describeTree(): string {
  const common = [...remoteOptions, colorOption]
  return [
    '# The command `weir`',
    '',
    'Generated from the commands themselves: `node libs/cli/src/write-reference.ts`.',
    '',
    'Results go to stdout, messages and progress to stderr. Tables are for people and may change; ' +
      '`-o json` and `-o yaml` are what the API answers, `-o name` is one id or name a line. With ' +
      '`-o json` an error is `{"error":{"code","message","hint"}}` on stderr. A key is never given on ' +
      'the command line: it comes from `--key-file`, `WEIR_KEY`, or the current context ' +
      '(`~/.config/weir/contexts.json`, readable by its owner alone), in this order.',
    '',
    '## Exit status',
    '',
    '| status | meaning |',
    '|---|---|',
    ...exitCodeMeanings.map(([code, meaning]) => `| ${code} | ${meaning} |`),
    '',
    '## Options of every command that talks to the API',
    '',
    ...optionTable(common),
    ...tree.flatMap((spec) => describe(spec, '')),
  ].join('\n')
}

function describe(spec: CommandSpec, before: string): string[] {
  if (spec.isHidden === true) return []
  const path = `${before}${spec.name}`
  if (spec.children !== undefined) {
    const own = ['', `## weir ${path}`, '', `${spec.summary}.`, '']
    return [...own.slice(0, -1), ...spec.children.flatMap((child) => describe(child, `${path} `))]
  }
  const args = (spec.args ?? []).map(({ name }) => ` ${name}`).join('')
  const shared = new Set([...remoteOptions, colorOption].map(({ flags }) => flags))
  const options = optionsOf(spec).filter(({ flags }) => !shared.has(flags))
  const alias = spec.aliases === undefined ? '' : ` Also: ${spec.aliases.join(', ')}.`
  return [
    '',
    `${before === '' ? '##' : '###'} weir ${path}${args}`,
    '',
    `${spec.summary}.${alias}${spec.more === undefined ? '' : ` ${spec.more}`}`,
    ...argumentLines(spec),
    ...(options.length === 0 ? [] : ['', ...optionTable(options)]),
    ...exampleLines(spec),
  ]
}

function argumentLines({ args = [] }: CommandSpec): string[] {
  if (args.length === 0) return []
  const line = ({ name, text, choices }: NonNullable<CommandSpec['args']>[number]) =>
    `- \`${name}\`: ${text}${choices === undefined ? '' : ` (${choices.join(', ')})`}`
  return ['', ...args.map(line)]
}

function optionTable(options: readonly OptionSpec[]): string[] {
  return [
    '| option | what |',
    '|---|---|',
    ...options.map(({ flags, text }) => `| \`${flags}\` | ${text.replaceAll('|', '\\|')} |`),
  ]
}

function exampleLines({ examples = [] }: CommandSpec): string[] {
  if (examples.length === 0) return []
  const lines = examples.flatMap(([command, text]) => [
    ...(text === '' ? [] : [`# ${text}`]),
    command,
  ])
  return ['', '```sh', ...lines, '```']
}
