import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { run } from '../src/program.ts'

export type Ran = { readonly status: number; readonly out: string; readonly err: string }

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string | AsyncIterable<string>
  readonly cwd?: string
  readonly signal?: AbortSignal
  /** Pretends that all three streams are a terminal. */
  readonly isTty?: boolean
  readonly onOut?: (text: string) => void
}

/** The command line in this process, with streams and environment of its own. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { stdin = '', isTty = false } = options
  let out = ''
  let err = ''
  const status = await run(args, {
    stdout: {
      isTTY: isTty,
      columns: 100,
      write(text) {
        out += String(text)
        options.onOut?.(String(text))
      },
    },
    stderr: {
      isTTY: isTty,
      write(text) {
        err += text
      },
    },
    stdin: Object.assign(typeof stdin === 'string' ? toStream(stdin) : stdin, { isTTY: isTty }),
    env: { XDG_CONFIG_HOME: join(tmpdir(), 'weir-no-such-folder'), ...options.env },
    cwd: options.cwd ?? tmpdir(),
    signal: options.signal ?? new AbortController().signal,
  })
  return { status, out, err }
}

async function* toStream(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text)
}

/** A folder of the test's own. */
export function makeFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'))
  test.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const KEY = 'weir_k1_secretsecret'
