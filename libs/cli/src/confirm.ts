import { createInterface } from 'node:readline/promises'
import type { Context } from './context.ts'
import { exitCodes } from './exit-codes.ts'
import { Failure, usage } from './failure.ts'

/** Asks before what cannot be undone; `--yes` answers, and without a terminal it must. */
export async function confirm(
  { io, say }: Context,
  question: string,
  yes: boolean | undefined,
): Promise<void> {
  if (yes === true) return
  if (io.stdin.isTTY !== true || io.stderr.isTTY !== true) {
    throw usage(`${question} Say so with --yes.`)
  }
  const lines = createInterface({
    input: io.stdin as unknown as NodeJS.ReadableStream,
    output: io.stderr as unknown as NodeJS.WritableStream,
  })
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal: io.signal })
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    lines.close()
  }
  say('nothing was done')
  throw new Failure('not confirmed', { exitCode: exitCodes.failure, code: 'not_confirmed' })
}
