import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Installation } from './support.ts'

export type StageProcess = {
  readonly pid: number
  /** Lines of standard output so far. */
  readonly lines: readonly string[]
  /** Ends it and gives the exit code, null after a kill. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null>
}

/** A stage of the fixtures in a process of its own. */
export function startProcess(
  t: TestContext,
  weir: Installation,
  name: string,
  env: NodeJS.ProcessEnv = {},
): StageProcess {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, 'fixtures/run-one.ts'), name],
    {
      env: {
        PATH: process.env.PATH,
        WEIR_KAFKA_BROKERS: weir.brokers,
        WEIR_PREFIX: weir.prefix,
        WEIR_STAGE_KEY: weir.keyTextOf(`${name}@1`),
        WEIR_LOG_LEVEL: process.env.WEIR_LOG_LEVEL ?? 'error',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const lines: string[] = []
  let rest = ''
  child.stdout?.on('data', (chunk) => {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (!hasEnded()) {
      child.kill(signal)
      await once(child, 'exit')
    }
    return child.exitCode
  }
  t.after(() => end('SIGKILL'))
  return { pid: child.pid as number, lines, end }
}
