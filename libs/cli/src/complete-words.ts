import type { Io } from './io.ts'
import { type CommandSpec, type NameKind, type OptionSpec, optionsOf } from './tree/spec.ts'

const TIMEOUT_MS = 1_500
const NAMES_MAX = 100

/** What can stand in place of the last of the words, which may be empty. */
export async function completeWords(
  tree: readonly CommandSpec[],
  words: readonly string[],
  io: Io,
): Promise<readonly string[]> {
  const last = words.at(-1) ?? ''
  const { spec, rest, children } = descend(tree, words.slice(0, -1))
  const candidates = await candidatesAt(spec, rest, children, last, io)
  return candidates.filter((word) => word.startsWith(last))
}

/** Follows the words into the tree as far as they name commands. */
function descend(tree: readonly CommandSpec[], words: readonly string[]) {
  let spec: CommandSpec | undefined
  let children = tree
  let at = 0
  for (; at < words.length; at += 1) {
    const word = words[at] as string
    const child = children.find(({ name, aliases }) => name === word || aliases?.includes(word))
    if (child === undefined) break
    spec = child
    children = child.children ?? []
  }
  return { spec, children, rest: words.slice(at) }
}

async function candidatesAt(
  spec: CommandSpec | undefined,
  rest: readonly string[],
  children: readonly CommandSpec[],
  last: string,
  io: Io,
): Promise<readonly string[]> {
  const options = spec === undefined ? [] : optionsOf(spec)
  const open = findOption(options, rest.at(-1))
  if (open !== undefined && takesValue(open)) {
    return open.choices ?? (await findNames(open.completes, rest, io))
  }
  if (last.startsWith('-')) return options.flatMap(flagsOf)
  const commands = children.filter(({ isHidden }) => isHidden !== true).map(({ name }) => name)
  if (commands.length > 0) return commands
  const position = countArguments(rest, options)
  const argument = spec?.args?.[Math.min(position, (spec.args?.length ?? 0) - 1)]
  return argument?.choices ?? (await findNames(argument?.completes, rest, io))
}

const flagsOf = ({ flags }: OptionSpec): string[] => flags.match(/--?[a-z][a-z-]*/g) ?? []
const takesValue = ({ flags }: OptionSpec): boolean => flags.includes('<')

const findOption = (options: readonly OptionSpec[], word: string | undefined) =>
  word === undefined ? undefined : options.find((option) => flagsOf(option).includes(word))

function countArguments(words: readonly string[], options: readonly OptionSpec[]): number {
  return words.filter((word, at) => {
    if (word.startsWith('-')) return false
    const before = findOption(options, words[at - 1])
    return before === undefined || !takesValue(before)
  }).length
}

async function findNames(
  kind: NameKind | undefined,
  words: readonly string[],
  io: Io,
): Promise<readonly string[]> {
  if (kind === undefined) return []
  try {
    return await fetchNames(kind, words, io)
  } catch {
    return []
  }
}

async function fetchNames(kind: NameKind, words: readonly string[], io: Io) {
  if (kind === 'contexts') {
    const { readContexts } = await import('./config/contexts.ts')
    return Object.keys(readContexts(io.env).contexts)
  }
  const [{ createClient }, { resolveTarget }] = await Promise.all([
    import('@weir/client'),
    import('./config/target.ts'),
  ])
  const given = (flag: string) => {
    const at = words.indexOf(flag)
    return at === -1 ? undefined : words[at + 1]
  }
  const [api, keyFile, context] = ['--api', '--key-file', '--context'].map(given)
  const target = resolveTarget(
    {
      ...(api === undefined ? {} : { api }),
      ...(keyFile === undefined ? {} : { keyFile }),
      ...(context === undefined ? {} : { context }),
    },
    io,
  )
  const client = createClient({
    baseUrl: target.api,
    key: target.key,
    timeoutMs: TIMEOUT_MS,
    retry: { attempts: 1 },
  })
  switch (kind) {
    case 'pipelines':
      return (await client.pipelines.list({ limit: NAMES_MAX })).pipelines.map(({ name }) => name)
    case 'stages':
      return (await client.stages.list()).map(({ ref }) => ref)
    case 'jobs':
      return (await client.jobs.list({ limit: NAMES_MAX })).jobs.map(({ id }) => id)
    default:
      return kind satisfies never
  }
}
