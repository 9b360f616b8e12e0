import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { createClient } from '@weir/client'
import type { Context, Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure } from '../failure.ts'
import type { Io } from '../io.ts'
import { findStageFolder, loadStage, type SourceStage } from '../load-stage.ts'
import { type LocalRun, needLocalRun, readStageKey, writeStageKey } from '../local-run.ts'
import { parseInteger } from '../pairs.ts'
import { findRepository } from '../repository.ts'

type RunFlags = { readonly partitions?: string; readonly watch?: boolean }

/** Registers a stage at the local installation and runs one instance of it until it is told to stop. */
export const runStage: Run<RunFlags> = async (context, flags) => {
  const { io, args, say } = context
  const folder = findStageFolder(io.cwd, args[0] as string)
  const partitions = parseInteger('--partitions', flags.partitions, 1, 1_000)
  const run = needLocalRun(io, findRepository(folder))
  const stage = await loadStage(folder)
  const stageKey = await registerAt(run, stage, partitions, io.signal)
  say(`${stage.ref} ${stage.version} starts; Ctrl-C ends it`)
  const watch = flags.watch === true ? ['--watch', '--watch-preserve-output'] : []
  const argv = [...watch, '--import=@weir/runtime/telemetry', join('src', 'main.ts')]
  return runNode(argv, folder, environmentOf(io, run, stage, stageKey))
}

/** Runs the tests that stand beside a stage. */
export const testStage: Run = async (context) => {
  const { io, args } = context
  const folder = findStageFolder(io.cwd, args[0] as string)
  const files = globSync('src/**/*.test.ts', { cwd: folder })
  if (files.length === 0) {
    const init = { exitCode: exitCodes.notFound, code: 'no_tests' } as const
    throw new Failure(`${relative(io.cwd, folder)} has no src/*.test.ts`, init)
  }
  return runNode(['--test', ...files], folder, io.env)
}

/** The key of the stage: of this registration, of an earlier one, or a further one. */
async function registerAt(
  run: LocalRun,
  { ref, kind, contract }: SourceStage,
  partitions: number | undefined,
  signal: AbortSignal,
): Promise<string> {
  const client = createClient({ baseUrl: run.api, key: run.operatorKey, signal })
  const settings = { kind, contract, ...(partitions === undefined ? {} : { partitions }) }
  const { stageKey } = await client.stages.register(ref, settings)
  // A new one comes with a registration: a key that is kept belongs to a database that is no more.
  const key = stageKey ?? readStageKey(run, ref) ?? (await client.stages.addKey(ref)).stageKey
  writeStageKey(run, ref, key)
  return key
}

/** The stage's own environment: what reaches Kafka, and no credential but its own. */
function environmentOf(
  { env }: Io,
  run: LocalRun,
  { name }: SourceStage,
  stageKey: string,
): Record<string, string> {
  const isOthers = (variable: string) =>
    /^WEIR_(?:KEY|API|CONTEXT|HOME|PORT|OPERATOR_KEY|POSTGRES_)/.test(variable)
  const inherited = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !isOthers(entry[0]),
  )
  return {
    WEIR_HTTP_PORT: '0',
    WEIR_SERVICE_NAME: `stage-${name}`,
    ...Object.fromEntries(inherited),
    WEIR_KAFKA_BROKERS: run.kafka,
    WEIR_STAGE_KEY: stageKey,
  }
}

/** Ctrl-C reaches the process as it reaches this one; other ends are handed on. It ends by itself. */
function runNode(argv: readonly string[], cwd: string, env: Context['io']['env']): Promise<number> {
  const child = spawn(process.execPath, argv, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] })
  const pass = (): void => {
    child.kill('SIGTERM')
  }
  process.on('SIGTERM', pass)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGTERM', pass)
      resolve(signal === null ? (code ?? exitCodes.failure) : exitCodes.interrupted)
    })
  })
}
