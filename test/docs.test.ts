import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { JOB_EVENT_TYPES } from '@weir/contracts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

test('the reference of events lists every type of event and no other', () => {
  const listed = [...read('docs/reference/events.md').matchAll(/^\| `([a-z_]+\.[a-z_]+)`/gm)]
  assert.deepEqual(listed.map((match) => match[1]).sort(), [...JOB_EVENT_TYPES].sort())
})

test('every link between documents leads to a file that is there', () => {
  const documents = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
    cwd: root,
  })
    .toString()
    .trim()
    .split('\n')
  const broken: string[] = []
  for (const file of documents) {
    for (const [, target] of read(file).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      if (!existsSync(join(root, dirname(file), target as string)))
        broken.push(`${file} → ${target}`)
    }
  }
  assert.deepEqual(broken, [])
})

test('every test that the map of features names is there', () => {
  const missing: string[] = []
  for (const [, file] of read('docs/features.md').matchAll(
    /`((?:test|libs|services|deploy)\/[\w./-]+)`/g,
  )) {
    if (!existsSync(join(root, file as string))) missing.push(file as string)
  }
  assert.deepEqual(missing, [])
})
