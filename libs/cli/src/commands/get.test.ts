import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { parse } from 'yaml'
import { runCli } from '../../test/support.ts'

const job = {
  id: 'j1',
  pipeline: 'delays',
  version: 3,
  run: 1,
  status: 'failed',
  priority: 128,
  tags: {},
  submittedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:01.500Z',
  error: { code: 'no_airport', message: 'x', step: 'locate', class: 'permanent' },
}
const page = { jobs: [job], nextCursor: 'c2' }

test('a list has four forms; json and yaml are what the API answers', async (t) => {
  const { baseUrl } = await startServer(t, () => ({ body: page }))
  const get = (...flags: string[]) => runCli(['get', 'jobs', '--api', baseUrl, ...flags])
  const table = await get()
  assert.match(table.out, /^j1 {2}delays v3 {2}failed {2}128 .* 1\.5 s {2}no_airport in locate$/m)
  assert.match(table.err, /there are more: --cursor c2/)
  assert.deepEqual(JSON.parse((await get('-o', 'json')).out), page)
  assert.deepEqual(parse((await get('-o', 'yaml')).out), page)
  assert.equal((await get('-o', 'name')).out, 'j1\n')
})

test('an empty list is an empty table, and no names at all', async (t) => {
  const { baseUrl } = await startServer(t, () => ({ body: { jobs: [] } }))
  const get = (...flags: string[]) => runCli(['get', 'jobs', '--api', baseUrl, ...flags])
  assert.match((await get()).out, /^ID +PIPELINE [^\n]*\n$/)
  assert.deepEqual(await get('-o', 'name'), { status: 0, out: '', err: '' })
})

test('filters are passed on as the API names them', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ body: page }))
  const filters = ['--status', 'failed', '--status', 'dropped', '--pipeline', 'p', '--tag', 'k=v w']
  const more = ['--failed-step', 's', '--from', '2026-01-01T00:00:00Z', '--limit', '7']
  await runCli(['get', 'jobs', '--api', baseUrl, ...filters, ...more])
  const url = new URL(requests[0]?.url ?? '', baseUrl)
  assert.deepEqual(
    [...url.searchParams],
    [
      ['status', 'failed'],
      ['status', 'dropped'],
      ['pipeline', 'p'],
      ['failedStep', 's'],
      ['from', '2026-01-01T00:00:00Z'],
      ['limit', '7'],
      ['tag.k', 'v w'],
    ],
  )
})

test('color is for terminals, unless it is not wanted', async (t) => {
  const { baseUrl } = await startServer(t, () => ({ body: page }))
  const args = ['get', 'jobs', '--api', baseUrl]
  const isColored = async (flags: string[], options: Parameters<typeof runCli>[1]) =>
    (await runCli([...args, ...flags], options)).out.includes('\u001b[')
  assert.equal(await isColored([], { isTty: true }), true)
  assert.equal(await isColored([], {}), false)
  assert.equal(await isColored(['--no-color'], { isTty: true }), false)
  assert.equal(await isColored([], { isTty: true, env: { NO_COLOR: '1' } }), false)
  assert.equal(await isColored([], { isTty: true, env: { TERM: 'dumb' } }), false)
  assert.equal(await isColored(['-o', 'json'], { isTty: true }), false)
})

test('a key is written to a new file that its owner alone can read, or printed once', async (t) => {
  const { makeFolder } = await import('../../test/support.ts')
  const { readFileSync, statSync } = await import('node:fs')
  const cwd = makeFolder(t)
  const body = { id: 't1', name: 'acme', adminKey: 'weir_a_secret' }
  const { baseUrl, requests } = await startServer(t, () => ({ status: 201, body }))
  const create = ['tenant', 'create', 'acme', '--api', baseUrl, '-o', 'json']
  const kept = await runCli([...create, '--save-key', 'acme.key'], { cwd })
  assert.deepEqual(JSON.parse(kept.out), { id: 't1', name: 'acme' })
  assert.doesNotMatch(kept.err, /secret/)
  assert.equal(readFileSync(`${cwd}/acme.key`, 'utf8'), 'weir_a_secret\n')
  assert.equal(statSync(`${cwd}/acme.key`).mode & 0o777, 0o600)

  // A key that cannot be kept is not made.
  const again = await runCli([...create, '--save-key', 'acme.key'], { cwd })
  assert.equal(again.status, 2)
  assert.equal(requests.length, 1)
  assert.equal(JSON.parse((await runCli(create)).out).adminKey, 'weir_a_secret')
})
