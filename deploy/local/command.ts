import { type ChildProcess, spawn } from 'node:child_process'

export type CommandOptions = {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number
  readonly gid?: number
  readonly timeoutMs: number
}

export type CommandResult = {
  /** Exit code; -1 when the program could not be started or was ended by a signal. */
  readonly code: number
  /** False when there is no such program. */
  readonly found: boolean
  /** Standard output and standard error together, the last 16 KiB. */
  readonly output: string
}

const outputBytesMax = 16 * 1024
const running = new Set<ChildProcess>()

/** Kills every program that `runCommand` is waiting for. */
export function killCommands(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** Runs a program to its end; never rejects. It is killed after `timeoutMs`. */
export function runCommand(
  argv: readonly [string, ...string[]],
  options: CommandOptions,
): Promise<CommandResult> {
  const { timeoutMs, ...spawnOptions } = options
  return new Promise((resolve) => {
    let output = ''
    const [program, ...args] = argv
    const child = spawn(program, args, {
      ...spawnOptions,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    const killTimer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-outputBytesMax)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    const end = (result: CommandResult): void => {
      running.delete(child)
      clearTimeout(killTimer)
      resolve(result)
    }
    child.once('error', (error: NodeJS.ErrnoException) =>
      end({ code: -1, found: error.code !== 'ENOENT', output: output + error.message }),
    )
    child.once('close', (code) => end({ code: code ?? -1, found: true, output }))
  })
}
