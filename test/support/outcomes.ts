import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

export type Failure = { readonly type: string; readonly code: string; readonly message: string }

/** What became of a test; without a failure it passed. */
export type Outcome = { readonly name: string; readonly failure?: Failure | undefined }

const TEST_MS = 60_000
const escapeName = (name: string) => name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Runs the named tests of some files of a checkout, all in one process of its own. */
export async function runTests(
  folder: string,
  files: readonly string[],
  names: readonly string[],
): Promise<readonly Outcome[]> {
  // Inside of a test run it would take the child for a file of that run.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  // Most of the sources are the same from run to run: what is compiled is kept beside them.
  const env = { ...inherited, NODE_COMPILE_CACHE: join(folder, '.compiled') }
  const child = spawn(
    process.execPath,
    [
      '--test',
      '--test-isolation=none',
      `--test-timeout=${TEST_MS}`,
      // What broke off has not closed what it had opened.
      '--test-force-exit',
      `--test-reporter=${import.meta.dirname}/outcome-reporter.ts`,
      ...names.map((name) => `--test-name-pattern=^${escapeName(name)}$`),
      ...files,
    ],
    { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const ended = once(child, 'exit')
  const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)])
  await ended
  const lines = said.split('\n').filter((line) => line !== '')
  if (lines.length === 0) throw new Error(`no test ran: ${complained}`)
  return lines.map((line) => JSON.parse(line) as Outcome)
}

/** The test said what it did not like; it neither broke off nor ran out of time. */
export const isAssertion = ({ type, code }: Failure): boolean =>
  type === 'testCodeFailure' && code === 'ERR_ASSERTION'
