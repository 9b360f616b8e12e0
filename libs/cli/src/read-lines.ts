import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { usage } from './failure.ts'
import type { Io } from './io.ts'

export type Line = { readonly number: number; readonly text: string }

const LINE_MAX = 4 * 1024 * 1024

/** A source that is slower than this is paused. */
const IDLE_MS = 100

/**
 * Lines of a file, or of stdin for `-`, from number 1, without the blank ones; null each time the
 * source gives nothing for a while.
 */
export async function* readLines(io: Io, path: string): AsyncGenerator<Line | null> {
  const source = path === '-' ? io.stdin : createReadStream(resolve(io.cwd, path))
  const decoder = new TextDecoder()
  let rest = ''
  let number = 0
  try {
    for await (const chunk of withPauses<Uint8Array | string>(source)) {
      if (chunk === null) {
        yield null
        continue
      }
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

async function* withPauses<Value>(source: AsyncIterable<Value>): AsyncGenerator<Value | null> {
  const values = source[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = values.next()
      const idle = new AbortController()
      const timer = pause(IDLE_MS, null, idle).catch(() => null)
      if ((await Promise.race([next, timer])) === null) yield null
      idle.abort()
      const { done, value } = await next
      isOver = done === true
      if (isOver) return
      yield value
    }
  } finally {
    // Nobody waits for a source that may never give anything again.
    if (!isOver) void values.return?.(undefined)
  }
}
