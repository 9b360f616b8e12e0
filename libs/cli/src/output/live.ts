import { stripVTControlCharacters } from 'node:util'
import type { Io } from '../io.ts'

/** Draws over what was drawn before, on a terminal. */
export function createLive({ stdout }: Io) {
  let drawn = 0
  let last: string | undefined
  return {
    draw(text: string): void {
      // What is taller than the screen cannot be drawn over: it would stand there twice.
      if (text === last) return
      last = text
      const columns = stdout.columns ?? 80
      const lines = text.split('\n').map((line) => cut(line, columns))
      const back = drawn === 0 ? '' : `\u001b[${drawn}A\u001b[0J`
      stdout.write(`${back}${lines.join('\n')}\n`)
      drawn = lines.length
    },
  }
}

/** A line that wraps would be two, and the next drawing would go wrong. */
function cut(line: string, columns: number): string {
  const bare = stripVTControlCharacters(line)
  return bare.length < columns ? line : bare.slice(0, columns - 1)
}
