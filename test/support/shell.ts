import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './until.ts'

export type BlockResult = { readonly status: number; readonly printed: string }

/** One shell in which blocks run one after the other, as in a terminal: variables and jobs stay. */
export type Shell = {
  /**
   * The block's status is that of its first command that fails, as under `set -e`, and the shell ends
   * with it. Of a block that `mayFail` it is that of its last command, and nothing of it stays.
   */
  run(block: string, timeoutMs: number, mayFail?: boolean): Promise<BlockResult>
  /** Ends the shell and everything that it has started. */
  close(): Promise<void>
}

export function startShell(cwd: string, env: Readonly<Record<string, string>>): Shell {
  const folder = mkdtempSync(join(tmpdir(), 'weir-shell-'))
  const shell = spawn('bash', ['--noprofile', '--norc'], {
    cwd,
    env,
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  let count = 0

  return {
    async run(block, timeoutMs, mayFail = false) {
      count += 1
      const [script, output, verdict] = ['sh', 'out', 'status'].map((end) =>
        join(folder, `${count}.${end}`),
      ) as [string, string, string]
      writeFileSync(script, block)
      writeFileSync(output, '')
      // Whole or not there: whoever waits for it must not read half of it.
      const tell = `echo $code > ${verdict}.part && mv ${verdict}.part ${verdict}`
      const call = mayFail ? `( . ${script} )` : `. ${script}`
      const end = mayFail ? ' || code=$?' : ''
      shell.stdin.write(
        `code=0; trap 'code=$?; ${tell}' EXIT; set -eo pipefail; ` +
          `${call} < /dev/null > ${output} 2>&1${end}; set +e; trap - EXIT; ${tell}\n`,
      )
      const read = (): string | undefined => {
        if (existsSync(verdict)) return readFileSync(verdict, 'utf8').trim()
        assert.equal(shell.exitCode, null, 'the shell has ended')
        return undefined
      }
      try {
        const code = await until(`the end of:\n${block}`, read, timeoutMs)
        return { status: Number(code), printed: readFileSync(output, 'utf8') }
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${readFileSync(output, 'utf8')}`)
      }
    },
    async close() {
      await endGroup(shell)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function endGroup(shell: ChildProcess): Promise<void> {
  const ended = shell.exitCode === null && shell.signalCode === null ? once(shell, 'exit') : null
  try {
    process.kill(-(shell.pid as number), 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
  await ended
}
