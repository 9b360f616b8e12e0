import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from './failure.ts'
import type { Io } from './io.ts'

export type Line = { readonly number: number; readonly text: string }

const LINE_MAX = 4 * 1024 * 1024

/** Lines of a file, or of stdin for `-`, from number 1, without the blank ones. */
export async function* readLines(io: Io, path: string): AsyncGenerator<Line> {
  const source = path === '-' ? io.stdin : createReadStream(resolve(io.cwd, path))
  const decoder = new TextDecoder()
  let rest = ''
  let number = 0
  try {
    for await (const chunk of source) {
      rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
      const lines = rest.split('\n')
      rest = lines.pop() as string
      if (rest.length > LINE_MAX) throw usage(`line ${number + 1} of ${path} is too long`)
      for (const text of lines) {
        number += 1
        if (text.trim() !== '') yield { number, text }
      }
    }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (syscall === undefined) throw error
    throw usage(`${path} cannot be read (${code})`)
  }
  if (rest.trim() !== '') yield { number: number + 1, text: rest }
}
