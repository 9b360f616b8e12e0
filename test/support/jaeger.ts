import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findJaeger, type PreparedJaeger, prepareJaeger } from '../../deploy/local/jaeger.ts'
import { guardAgainstOwnDeath, type ParentGuard } from '../../deploy/local/parent-guard.ts'
import { createSupervisor, type Supervisor } from '../../deploy/local/supervisor.ts'
import { findMissingContainers } from './container-engine.ts'
import { createJaegerApi, type JaegerApi } from './jaeger-api.ts'

export const JAEGER_IMAGE = 'jaegertracing/jaeger:2.13.0'

const STOP_GRACE_MS = 5_000
const COPY_MS = 120_000
const run = promisify(execFile)

/** Where a Jaeger comes from, or why there is none, as a sentence. */
export type JaegerSource =
  | { readonly program: string }
  | { readonly image: string }
  | { readonly missing: string }

/**
 * The Jaeger that tests run: WEIR_JAEGER_BIN, else `jaeger` in PATH, else the one in the image, where
 * an engine answers that has it. With REQUIRE_JAEGER=1 having none is a failure.
 */
export async function findTestJaeger(): Promise<JaegerSource> {
  const program = findJaeger(process.env)
  if (program !== undefined) return { program }
  const missing = await findMissingContainers([JAEGER_IMAGE], 'REQUIRE_JAEGER')
  if (missing === undefined) return { image: JAEGER_IMAGE }
  return { missing: `neither WEIR_JAEGER_BIN nor PATH names a Jaeger, and ${missing}` }
}

/** A Jaeger of a test file's own, which keeps its traces in memory. */
export type TestJaeger = {
  readonly api: JaegerApi
  readonly otlpUrl: string
  /** Ends it at once; what it holds is gone. */
  kill(): Promise<void>
  /** Starts it again, at the same addresses. */
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startJaeger(source: JaegerSource): Promise<TestJaeger> {
  if ('missing' in source) throw new Error(source.missing)
  const home = mkdtempSync(join(tmpdir(), 'weir-jaeger-'))
  let supervisor: Supervisor | undefined
  let guard: ParentGuard | undefined

  const end = async (graceMs: number) => {
    await supervisor?.stopAll(graceMs)
    supervisor = undefined
    guard?.release()
    guard = undefined
  }
  const stop = async () => {
    await end(STOP_GRACE_MS)
    rmSync(home, { recursive: true, force: true })
  }
  const start = async ({ spec }: PreparedJaeger) => {
    supervisor = createSupervisor({ home })
    await supervisor.add({ ...spec, restart: false })
    guard = guardAgainstOwnDeath(home, Object.values(supervisor.pids()))
  }

  try {
    const binary =
      'program' in source ? source.program : await copyProgram(source.image, join(home, 'program'))
    const prepared = await prepareJaeger({ home, binary })
    await start(prepared)
    return {
      api: createJaegerApi(prepared.url),
      otlpUrl: prepared.otlpUrl,
      kill: () => end(0),
      start: () => start(prepared),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The program of an image, as a file: one static binary, which needs no container around it. */
async function copyProgram(image: string, path: string): Promise<string> {
  const docker = async (...args: string[]) =>
    (await run('docker', args, { timeout: COPY_MS })).stdout.trim()
  const entry = '{{index .Config.Entrypoint 0}}'
  const inside = await docker('image', 'inspect', '--format', entry, image)
  const container = await docker('create', image)
  try {
    await docker('cp', `${container}:${inside}`, path)
  } finally {
    await docker('rm', container)
  }
  return path
}
