import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { problem, startServer } from '@weir/client/test-server'
import { makeFolder, runCli } from '../../test/support.ts'

const published = (name: string, version: number) => ({
  name,
  version,
  planId: 'x',
  warnings: [{ path: '/steps/a', code: 'orphan', message: 'nothing follows' }],
})

function pipelinesIn(folder: string): void {
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'one.yaml'), '# kept as written\nsteps: { a: { stage: a@1 } }\n')
  writeFileSync(join(folder, 'two.json'), '{"steps":{"a":{"stage":"b@1"}}}')
  writeFileSync(join(folder, 'notes.txt'), 'not a pipeline')
}

test('the documents of a folder are published as they were written, each under its name', async (t) => {
  const folder = makeFolder(t)
  pipelinesIn(folder)
  const { baseUrl, requests } = await startServer(t, ({ url }) =>
    url.endsWith('one')
      ? { status: 201, body: published('one', 3) }
      : { body: published('two', 1) },
  )
  const args = ['apply', '-f', '.', '--api', baseUrl, '-o', 'json']
  const { status, out, err } = await runCli(args, { cwd: folder })
  assert.equal(status, 0)
  const sent = requests.map(({ method, url, headers, body }) => [
    `${method} ${url}`,
    headers['content-type'],
    body,
  ])
  assert.deepEqual(sent, [
    [
      'PUT /v1/pipelines/one',
      'application/yaml',
      '# kept as written\nsteps: { a: { stage: a@1 } }\n',
    ],
    ['PUT /v1/pipelines/two', 'application/json', '{"steps":{"a":{"stage":"b@1"}}}'],
  ])
  const outcomes = JSON.parse(out).pipelines.map((one: { name: string; outcome: string }) => [
    one.name,
    one.outcome,
  ])
  assert.deepEqual(outcomes, [
    ['one', 'created'],
    ['two', 'unchanged'],
  ])
  assert.match(err, /one\.yaml: warning: \/steps\/a: nothing follows/)
})

test('where some cannot be published the others are, and 8 says so', async (t) => {
  const folder = makeFolder(t)
  pipelinesIn(folder)
  const { baseUrl, requests } = await startServer(t, ({ url }) =>
    url.endsWith('one')
      ? problem(422, 'invalid_pipeline')
      : { status: 201, body: published('two', 1) },
  )
  const args = ['apply', '-f', 'one.yaml', '-f', 'two.json', '--api', baseUrl]
  const { status, out } = await runCli(args, { cwd: folder })
  assert.equal(status, 8)
  assert.match(out, /^one +failed +-\ntwo +created +1$/m)
  assert.equal(requests.length, 2)
  const alone = await runCli(['apply', '-f', 'one.yaml', '--api', baseUrl], { cwd: folder })
  assert.equal(alone.status, 1)
})

test('a document from stdin needs a name, and a version guards it', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => problem(412, 'version_conflict'))
  const args = ['apply', '-f', '-', '--api', baseUrl]
  assert.equal((await runCli(args, { stdin: '{}' })).status, 2)
  const guarded = await runCli([...args, '--name', 'p', '--if-version', '4'], { stdin: '{}' })
  assert.equal(guarded.status, 5)
  assert.equal(requests[0]?.headers['if-match'], '"4"')
})

test('diff tells with 0, 1 or more whether documents are the same, differ, or cannot be told', async (t) => {
  const folder = makeFolder(t)
  pipelinesIn(folder)
  const document = { steps: { a: { stage: 'a@1' } } }
  const { baseUrl } = await startServer(t, ({ url }) => {
    if (url.endsWith('one')) return { body: { version: 2, document } }
    return url.endsWith('three') ? problem(500, 'internal') : problem(404, 'not_found')
  })
  const diff = (...args: string[]) => runCli(['diff', ...args, '--api', baseUrl], { cwd: folder })
  const same = await diff('-f', 'one.yaml')
  assert.deepEqual({ status: same.status, out: same.out }, { status: 0, out: '' })

  const absent = await diff('-f', '.')
  assert.equal(absent.status, 1)
  assert.match(absent.out, /--- two not published\n\+\+\+ two\.json\n\+steps:\n/)

  const changed = await diff('-f', 'two.json', '--name', 'one')
  assert.equal(changed.status, 1)
  assert.match(changed.out, /--- one v2\n[\s\S]*- {4}stage: a@1\n\+ {4}stage: b@1\n/)

  assert.equal((await diff('-f', 'one.yaml', '--name', 'three')).status, 2)
})

test('lint asks the server, or checks the shape without one', async (t) => {
  const folder = makeFolder(t)
  const text =
    'stps: {}\nonFailure: maybe\nsteps: { a: { stage: a@1, after: [{ step: b, eac: true }] } }'
  writeFileSync(join(folder, 'p.yaml'), text)
  const offline = await runCli(['lint', 'p.yaml', '--offline', '--json'], { cwd: folder })
  assert.equal(offline.status, 1)
  const { errors } = JSON.parse(offline.out) as { errors: { path: string; message: string }[] }
  assert.deepEqual(errors.map(({ path }) => path).sort(), [
    '/onFailure',
    '/steps/a/after/0/eac',
    '/stps',
  ])
  assert.match(
    errors.find(({ path }) => path === '/onFailure')?.message ?? '',
    /one of fail_fast, continue, best_effort/,
  )

  const fault = { path: '/steps/a', code: 'orphan', message: 'nothing follows' }
  const { baseUrl } = await startServer(t, () => ({
    body: { valid: true, errors: [], warnings: [fault] },
  }))
  const lint = (...flags: string[]) =>
    runCli(['lint', 'p.yaml', '--api', baseUrl, ...flags], { cwd: folder })
  assert.equal((await lint()).status, 0)
  assert.equal((await lint('--strict')).status, 1)
  assert.match((await lint()).out, /warning {2}\/steps\/a: nothing follows \(orphan\)/)
})
