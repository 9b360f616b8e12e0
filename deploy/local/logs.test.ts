import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { trimLogs } from './logs.ts'
import { makeTestHome } from './test-support.ts'

test('a log over its bound is set aside and its writer goes on in an empty one', (t) => {
  const dir = makeTestHome(t)
  const path = join(dir, 'x.log')
  const fd = openSync(path, 'a')
  writeSync(fd, 'a'.repeat(20))
  trimLogs(dir, 20)
  assert.equal(readFileSync(path, 'utf8').length, 20)
  writeSync(fd, 'b')
  trimLogs(dir, 20)
  writeSync(fd, 'c')
  closeSync(fd)
  assert.equal(readFileSync(path, 'utf8'), 'c')
  assert.equal(readFileSync(`${path}.1`, 'utf8').length, 21)
})
