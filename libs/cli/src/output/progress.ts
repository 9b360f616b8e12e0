import type { Io } from '../io.ts'

const PLAIN_INTERVAL_MS = 2_000

/** How far a long act has come, on stderr: one moving line on a terminal, else a line at times. */
export function createProgress({ stderr }: Io, verb: string) {
  const isTerminal = stderr.isTTY === true
  const startedAt = performance.now()
  let saidAt = startedAt
  const rate = (count: number): number => {
    return Math.round(count / Math.max(0.001, (performance.now() - startedAt) / 1_000))
  }
  return {
    advance(count: number): void {
      const now = performance.now()
      if (isTerminal) stderr.write(`\r\u001b[K${count} ${verb}, ${rate(count)}/s`)
      else if (now - saidAt >= PLAIN_INTERVAL_MS)
        stderr.write(`${count} ${verb}, ${rate(count)}/s\n`)
      else return
      saidAt = now
    },
    note(text: string): void {
      stderr.write(`${isTerminal ? '\r\u001b[K' : ''}${text}\n`)
    },
    end(count: number): void {
      const seconds = Math.round((performance.now() - startedAt) / 100) / 10
      stderr.write(`${isTerminal ? '\r\u001b[K' : ''}${count} ${verb} in ${seconds} s\n`)
    },
  }
}
