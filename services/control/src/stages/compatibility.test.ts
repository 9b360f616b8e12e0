import assert from 'node:assert/strict'
import test from 'node:test'
import { compareVersions, findBreak, nearestVersion } from './compatibility.ts'

const object = (properties: Record<string, unknown>, required: string[] = []) => ({
  type: 'object',
  properties,
  required,
})
const text = { type: 'string' }
const older = {
  version: '1.0.0',
  input: object({ a: text }, ['a']),
  output: object({ b: text }, ['b']),
}

test('the same, a wider input and a richer output are compatible', () => {
  assert.equal(findBreak(older, { ...older, version: '1.0.1' }), undefined)
  const wider = { version: '1.1.0', input: object({ a: text, c: text }, []), output: older.output }
  assert.equal(findBreak(older, wider), undefined)
  const richer = { ...older, version: '1.1.0', output: object({ b: text, d: text }, ['b', 'd']) }
  assert.equal(findBreak(older, richer), undefined)
})

test('an input that requires more and an output that offers less break it', () => {
  const asks = { ...older, version: '1.1.0', input: object({ a: text, c: text }, ['a', 'c']) }
  assert.match(findBreak(older, asks) ?? '', /input of 1\.1\.0 breaks 1\.0\.0/)
  const lacks = { ...older, version: '1.1.0', output: object({ d: text }, ['d']) }
  assert.match(findBreak(older, lacks) ?? '', /output of 1\.1\.0 breaks 1\.0\.0/)
})

test('what was optional and becomes required breaks it, also deep inside', () => {
  const rows = (required: string[]) =>
    object({ rows: { type: 'array', items: object({ id: text }, required) } })
  const old = { version: '1.0.0', input: rows([]), output: rows(['id']) }
  assert.equal(findBreak(old, { ...old, version: '1.0.1' }), undefined)
  const asks = findBreak(old, { ...old, version: '1.1.0', input: rows(['id']) })
  assert.match(asks ?? '', /input.*rows\/items\/id was optional/)
  const lacks = findBreak(old, { ...old, version: '1.1.0', output: rows([]) })
  assert.match(lacks ?? '', /output.*rows\/items\/id was optional/)
})

test('a version is compared with the nearest one below it, else above', () => {
  const accepted = ['1.10.0', '1.2.0', '1.9.9'].map((version) => ({ version }))
  assert.deepEqual(nearestVersion('1.10.1', accepted), {
    other: { version: '1.10.0' },
    isOlder: true,
  })
  assert.deepEqual(nearestVersion('1.10.0', accepted), {
    other: { version: '1.9.9' },
    isOlder: true,
  })
  assert.deepEqual(nearestVersion('1.0.0', accepted), {
    other: { version: '1.2.0' },
    isOlder: false,
  })
  assert.equal(nearestVersion('1.0.0', [{ version: '1.0.0' }]), undefined)
  assert.ok(compareVersions('1.10.0', '1.9.0') > 0)
})
