import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { auditActions, JOB_EVENT_TYPES } from '@weir/contracts'
import { createLogger, withLogContext } from '@weir/runtime'
import { INJECTED_FAULTS, STAGE_RULES } from '@weir/sdk'
import {
  describeAudit,
  describeAuditSchemas,
  describeCauses,
  describeEventSchemas,
  describeEvents,
} from '../libs/contracts/src/schema-reference.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const toJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('the reference of events is what their schemas say', () => {
  const reference = read('docs/reference/events.md')
  assert.ok(
    reference.includes(`\n${describeEvents()}\n`),
    `the table is not this:\n${describeEvents()}`,
  )
  const listed = [...reference.matchAll(/^\| `([a-z_]+\.[a-z_]+)`/gm)].map(([, type]) => type)
  assert.deepEqual(listed.toSorted(), JOB_EVENT_TYPES.toSorted())
  assert.deepEqual(
    JSON.parse(read('docs/reference/events.schema.json')),
    toJson(describeEventSchemas()),
  )
})

test('the reference of the audit log is what its catalogue says', () => {
  const reference = read('docs/reference/audit.md')
  assert.ok(
    reference.includes(`\n${describeAudit()}\n`),
    `the table is not this:\n${describeAudit()}`,
  )
  const [, causes = ''] = reference.split('Causes of `access.denied`:')
  const listed = [...causes.matchAll(/^\| (`\w+`) \|/gm)].map(([, cause]) => cause)
  assert.deepEqual(listed, describeCauses())
  assert.deepEqual(
    JSON.parse(read('docs/reference/audit.schema.json')),
    toJson(describeAuditSchemas()),
  )
})

test('the catalogue of the audit log has the actions that the code writes, and no other', () => {
  const sources = execFileSync('git', ['ls-files', '-co', '--exclude-standard', 'services'], {
    cwd: root,
  })
    .toString()
    .split('\n')
    .filter((file) => /\/src\/.*\.ts$/.test(file) && !file.endsWith('.test.ts'))
    .filter((file) => existsSync(join(root, file)))
  const text = sources.map(read).join('\n')
  const groups = new Set(Object.keys(auditActions).map((action) => action.split('.')[0]))
  // What happens to a job is told in its log, under names that look alike.
  const events: ReadonlySet<string> = new Set(JOB_EVENT_TYPES)
  const written = new Set(
    [...text.matchAll(/'([a-z]+)\.([a-z_]+)'/g)]
      .filter(([, group]) => groups.has(group))
      .map(([, group, verb]) => `${group}.${verb}`)
      .filter((name) => !events.has(name)),
  )
  // One for each verb of a list.
  const isMade = (action: string) => text.includes(`\`${action.split('.')[0]}.\${`)
  const actions = Object.keys(auditActions)
  const unknown = [...written].filter((action) => !actions.includes(action))
  const unused = actions.filter((action) => !written.has(action) && !isMade(action))
  assert.deepEqual({ unknown, unused }, { unknown: [], unused: [] })
})

test('the reference of configuration lists every variable that the code reads, and no other', () => {
  const sources = execFileSync(
    'git',
    ['ls-files', '-co', '--exclude-standard', 'libs', 'services', 'deploy/migrate.ts'],
    {
      cwd: root,
    },
  )
    .toString()
    .split('\n')
    .filter(
      (file) =>
        /\/src\/.*\.ts$|^deploy\/migrate\.ts$/.test(file) &&
        !file.endsWith('.test.ts') &&
        existsSync(join(root, file)),
    )
    .filter((file) => !file.startsWith('services/stages/'))
  const isSetting = (name: string) => !name.endsWith('_') && !name.endsWith('_FILE')
  const inCode = new Set(
    sources.flatMap((file) => [...read(file).matchAll(/\bWEIR_[A-Z0-9_]+/g)].map(([name]) => name)),
  )
  const inDocs = new Set(
    [...read('docs/reference/config.md').matchAll(/`(WEIR_[A-Z0-9_]+)`/g)].map(
      (match) => match[1] as string,
    ),
  )
  const launcher = ['WEIR_HOME', 'WEIR_PORT', 'WEIR_JAEGER_BIN']
  const unknown = [...inDocs].filter((name) => !inCode.has(name) && !launcher.includes(name))
  const undocumented = [...inCode].filter((name) => isSetting(name) && !inDocs.has(name))
  assert.deepEqual({ unknown, undocumented }, { unknown: [], undocumented: [] })
})

test('the guide for authors names every rule of stages and every fault that tests can inject', () => {
  const guide = read('docs/guides/stages.md')
  const named = (from: string, to: string) =>
    guide
      .slice(guide.indexOf(from), guide.indexOf(to))
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) =>
        [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name),
      )
  assert.deepEqual(named('## Testing without', '## The rules'), [...INJECTED_FAULTS])
  assert.deepEqual(named('## The rules', '## A new version'), [...STAGE_RULES])
})

test('a line of a log has the fields of the reference, and withholds what it says', () => {
  const reference = read('docs/reference/logs.md')
  const [fields = '', promises = ''] = reference.split('## What is never written')
  const inDocs = fields
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name))
  const lines: string[] = []
  const log = createLogger({ service: 'docs', destination: { write: (line) => lines.push(line) } })
  const ids = {
    tenant: 't',
    job: 'j',
    correlation: 'c',
    stage: 's',
    step: 'p',
    item: '',
    request: 'r',
  }
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  withLogContext({ ...ids, run: 1, attempt: 1, traceparent }, () => {
    log.info({ err: new Error('x') }, 'said')
  })
  assert.deepEqual(Object.keys(JSON.parse(lines[0] ?? '{}')).sort(), inDocs.sort())

  const names = [...promises.matchAll(/`([a-z]+)`/g)].map(([, name]) => name as string)
  const withheld = names.filter((name) => name !== 'withheld' && name !== 'object')
  assert.ok(withheld.length > 10)
  log.info({ ...Object.fromEntries(withheld.map((name) => [name, 'canary'])) }, 'said')
  log.info({ userPassword: 'canary', deep: { token: 'canary', one: { two: 'canary' } } }, 'said')
  assert.doesNotMatch(lines.slice(1).join(''), /canary/)
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
