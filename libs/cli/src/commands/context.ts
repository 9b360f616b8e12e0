import { resolve } from 'node:path'
import {
  contextsPath,
  type Entry,
  isReadableByOthers,
  readContexts,
  writeContexts,
} from '../config/contexts.ts'
import { readKeyFile } from '../config/target.ts'
import type { Context, Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { formatTable } from '../output/table.ts'
import { readText } from '../read-source.ts'

type SetFlags = {
  readonly api?: string
  readonly keyFile?: string
  readonly keyStdin?: boolean
  readonly use?: boolean
}

export const listContexts: Run = async ({ io, out, say }) => {
  const { current, contexts } = readContexts(io.env)
  const list = Object.entries(contexts).map(([name, { api, key }]) => ({
    name,
    isCurrent: name === current,
    api,
    // The public half tells keys apart; the secret stays in the file.
    keyId: key?.split('_')[1] ?? null,
  }))
  if (list.length === 0) say('there are no contexts; add one with: weir context set')
  const rows = list.map(({ name, isCurrent, api, keyId }) => [
    isCurrent ? '*' : ' ',
    name,
    api,
    keyId,
  ])
  await out.show({
    data: { contexts: list },
    table: (paint) =>
      list.length === 0 ? '' : formatTable([' ', 'NAME', 'API', 'KEY'], rows, paint),
    names: () => list.map(({ name }) => name),
  })
  const path = contextsPath(io.env)
  if (isReadableByOthers(path)) say(`others can read ${path}: chmod 600 ${path}`)
}

export const useContext: Run = async ({ io, args, say }) => {
  const name = args[0] as string
  const { contexts } = readContexts(io.env)
  if (!Object.hasOwn(contexts, name)) throw unknown(name)
  writeContexts(io.env, { current: name, contexts })
  say(`the current context is ${name}`)
}

export const setContext: Run<SetFlags> = async (context, flags) => {
  const { io, args, say } = context
  const name = args[0] as string
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) throw usage(`"${name}" is no name`)
  const { current, contexts } = readContexts(io.env)
  const before: Partial<Entry> = Object.hasOwn(contexts, name) ? (contexts[name] as Entry) : {}
  const api = flags.api ?? (io.env.WEIR_API || before.api)
  if (api === undefined) throw usage('which address? Give it with --api')
  // A key is for the address it was given with.
  const key = (await readKey(context, flags)) ?? (api === before.api ? before.key : undefined)
  const entry: Entry = { api, ...(key === undefined ? {} : { key }) }
  const isUsed = flags.use === true || current === undefined || current === name
  writeContexts(io.env, {
    ...(isUsed ? { current: name } : { current: current as string }),
    contexts: { ...contexts, [name]: entry },
  })
  say(
    `${name} is ${api}${key === undefined ? ', without a key' : ''}${isUsed ? '; it is the current context' : ''}`,
  )
}

async function readKey({ io }: Context, flags: SetFlags): Promise<string | undefined> {
  if (flags.keyFile !== undefined) return readKeyFile(resolve(io.cwd, flags.keyFile))
  if (flags.keyStdin === true) return (await readText(io, '-')).trim()
  return io.env.WEIR_KEY || undefined
}

export const removeContext: Run = async ({ io, args, say }) => {
  const name = args[0] as string
  const { current, contexts } = readContexts(io.env)
  if (!Object.hasOwn(contexts, name)) throw unknown(name)
  const { [name]: _, ...rest } = contexts
  writeContexts(io.env, {
    ...(current === undefined || current === name ? {} : { current }),
    contexts: rest,
  })
  say(`${name} is forgotten`)
}

const unknown = (name: string): Failure =>
  new Failure(`there is no context "${name}"`, {
    exitCode: exitCodes.notFound,
    code: 'unknown_context',
    hint: 'weir context list',
  })
