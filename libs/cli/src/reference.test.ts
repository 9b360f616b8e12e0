import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeTree } from './reference.ts'

test('the reference of the command is what its commands say', () => {
  const path = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference', 'cli.md')
  const written = readFileSync(path, 'utf8')
  assert.equal(written, `${describeTree()}\n`, 'run: node libs/cli/src/write-reference.ts')
})
