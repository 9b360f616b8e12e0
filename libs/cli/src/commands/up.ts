import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { readContexts, writeContexts } from '../config/contexts.ts'
import type { Context, Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { findLocalRun } from '../local-run.ts'
import { parseInteger } from '../pairs.ts'
import { findRepository } from '../repository.ts'

type UpFlags = { readonly port?: string; readonly only?: string; readonly foreground?: boolean }

const CONTEXT = 'local'

export const up: Run<UpFlags> = async (context, flags) => {
  const { io } = context
  const repository = findRepository(io.cwd)
  const port = parseInteger('--port', flags.port, 1, 65_535)
  const env = { ...io.env, ...(port === undefined ? {} : { WEIR_PORT: String(port) }) }
  const args = [
    ...(flags.only === undefined ? [] : [`--only=${flags.only}`]),
    ...(flags.foreground === true ? ['--foreground'] : []),
  ]
  const status = await launch(repository, 'up.ts', args, env)
  if (status === 0 && flags.foreground !== true) keepContext(context, repository)
  return status
}

export const down: Run = async ({ io }) => {
  return launch(findRepository(io.cwd), 'down.ts', [], io.env)
}

/** The launcher speaks for itself; Ctrl-C reaches it too, and it ends in its own time. */
async function launch(
  repository: string,
  script: string,
  args: readonly string[],
  env: Io['env'],
): Promise<number> {
  const main = join(repository, 'deploy', 'local', script)
  const child = spawn(process.execPath, [main, ...args], { cwd: repository, env, stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      resolve(signal === null ? (code ?? exitCodes.failure) : exitCodes.interrupted)
    })
  })
}

function keepContext({ io, say }: Context, repository: string): void {
  const run = findLocalRun(io, repository)
  if (run === undefined) return
  const { api, operatorKey: key } = run
  const { current, contexts } = readContexts(io.env)
  writeContexts(io.env, {
    current: current ?? CONTEXT,
    contexts: { ...contexts, [CONTEXT]: { api, key } },
  })
  const isUsed = current === undefined || current === CONTEXT
  say(
    `weir: kept as context "${CONTEXT}"${isUsed ? '' : `; to use it: weir context use ${CONTEXT}`}`,
  )
}
