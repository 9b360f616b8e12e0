import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Io } from '../io.ts'
import { createLive } from './live.ts'

function start(columns: number) {
  const written: string[] = []
  const stdout = { columns, write: (text: string) => written.push(text) > 0 }
  return { live: createLive({ stdout } as unknown as Io), written }
}

test('a drawing takes the place of the one before', () => {
  const { live, written } = start(80)
  live.draw('one\ntwo')
  live.draw('three')
  assert.deepEqual(written, ['one\ntwo\n', '\u001b[2A\u001b[0Jthree\n'])
})

test('what is the same is not drawn again', () => {
  const { live, written } = start(80)
  live.draw('a result')
  live.draw('a result')
  assert.deepEqual(written, ['a result\n'])
})

test('a line that would wrap is cut', () => {
  const { live, written } = start(5)
  live.draw('123456')
  assert.deepEqual(written, ['1234\n'])
})
