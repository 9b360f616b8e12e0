import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { errorTable } from '@weir/contracts'

const document = readFileSync(new URL('../../../docs/reference/errors.md', import.meta.url), 'utf8')
const rows = [...document.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| (.+) \| (.+) \|$/gm)]

test('the reference lists every code with its status, and no other', () => {
  const listed = rows.map(([, code, status]) => [code, Number(status)])
  const known = Object.entries(errorTable).map(([code, { status }]) => [code, status])
  assert.deepEqual(listed, known)
})

test('every code has a status that is an error', () => {
  for (const [code, { status, title }] of Object.entries(errorTable)) {
    assert.ok(status >= 400 && status < 600, code)
    assert.ok(title.length > 0, code)
  }
})

test('codes that are worth another try come with the statuses that say when', () => {
  for (const [code, { status, retryable }] of Object.entries(errorTable)) {
    assert.equal(retryable, [408, 429, 503].includes(status), code)
  }
})
