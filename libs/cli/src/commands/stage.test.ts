import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { problem, startServer } from '@weir/client/test-server'
import { makeFolder, runCli } from '../../test/support.ts'

const root = join(import.meta.dirname, '..', '..', '..', '..')

/** A generated stage; inside of the checkout, where it finds the packages it imports. */
async function makeStage(t: TestContext, name: string): Promise<string> {
  const folder = mkdtempSync(join(root, '.weir-init-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  assert.equal((await runCli(['stage', 'init', name, '--dir', '.'], { cwd: folder })).status, 0)
  return join(folder, name)
}

const instance = (version: string, partitions: string[]) => ({
  version,
  partitions,
  state: 'active',
})
const stageWith = (instances: object[], contracts: object[] = []) => ({
  ref: 'geo@1',
  state: 'active',
  partitions: 4,
  lanes: ['high', 'normal'],
  spec: {},
  instances,
  contracts,
})

test('register takes kind and contracts from the source, and refuses the source of another stage', async (t) => {
  const folder = await makeStage(t, 'geo')
  const { baseUrl, requests } = await startServer(t, () => ({ body: stageWith([]) }))
  const at = ['--api', baseUrl, `--from=${folder}`]
  const ran = await runCli(['stage', 'register', 'geo@1', ...at, '--kind', 'enrich'])
  assert.equal(ran.status, 0, ran.err)
  const { kind, contract } = JSON.parse(requests[0]?.body ?? '')
  assert.deepEqual([kind, contract.version, contract.input.type], ['enrich', '1.0.0', 'object'])
  assert.match(contract.hash, /^[\w-]{22}$/)

  const other = await runCli(['stage', 'register', 'geo@2', ...at])
  assert.equal(other.status, 2)
  assert.match(other.err, /is geo@1 \(version 1\.0\.0\), not geo@2/)
})

test('a contract that breaks callers is refused with what to do about it', async (t) => {
  const folder = await makeStage(t, 'geo')
  const detail = 'geo@1 1.0.1: the input of 1.0.1 breaks 1.0.0: /x was optional.'
  const { baseUrl } = await startServer(t, () =>
    problem(409, 'contract_incompatible', { detail, stage: 'geo@1', version: '1.0.1' }),
  )
  const ran = await runCli(['stage', 'register', 'geo@1', `--from=${folder}`, '--api', baseUrl])
  assert.equal(ran.status, 5)
  assert.match(ran.err, /breaks 1\.0\.0: \/x was optional/)
  assert.match(ran.err, /hint: .* as 2\.0\.0 it is geo@2, beside geo@1/)
})

test('a source that is no stage, or is not there, is named', async (t) => {
  const folder = await makeStage(t, 'geo')
  const at = ['--api', 'http://127.0.0.1:1', `--from=${folder}`]
  writeFileSync(join(folder, 'src', 'stage.ts'), 'export const nothing = 1\n')
  const none = await runCli(['stage', 'register', 'geo@1', ...at])
  assert.match(none.err, /stage\.ts exports 0 stages/)
  const absent = await runCli(['stage', 'test', 'no-such-stage'], { cwd: root })
  assert.equal(absent.status, 3)
  assert.match(absent.err, /weir stage init no-such-stage/)
})

test('wait ends once enough instances of the version have partitions', async (t) => {
  const answers = [
    problem(404, 'not_found'),
    { body: stageWith([instance('1.0.0', ['a/0'])]) },
    { body: stageWith([instance('1.0.0', ['a/0']), instance('1.0.1', [])]) },
    { body: stageWith([instance('1.0.0', ['a/0']), instance('1.0.1', ['a/1'])]) },
  ]
  const { baseUrl, requests } = await startServer(
    t,
    () => answers[Math.min(requests.length, answers.length) - 1] as (typeof answers)[number],
  )
  const wait = ['stage', 'wait', 'geo@1', '--api', baseUrl]
  const ran = await runCli([...wait, '--stage-version', '1.0.1', '-o', 'name'])
  assert.deepEqual([ran.status, ran.out], [0, 'geo@1\n'], ran.err)
  assert.equal(requests.length, answers.length)

  const late = await runCli([...wait, '--instances', '3', '--timeout', '1'])
  assert.equal(late.status, 6)
  assert.match(late.err, /2 of 3 instances of geo@1 are at work/)
})

test('wait does not wait for a version that was refused', async (t) => {
  const refused = { version: '1.0.1', accepted: false, reason: 'it breaks 1.0.0', hash: 'h' }
  const { baseUrl } = await startServer(t, () => ({ body: stageWith([], [refused]) }))
  const args = ['stage', 'wait', 'geo@1', '--stage-version', '1.0.1', '--api', baseUrl]
  const ran = await runCli(args)
  assert.equal(ran.status, 5)
  assert.match(ran.err, /geo@1 1\.0\.1 was refused: it breaks 1\.0\.0/)
})

test('run says what is missing where no local installation runs', async (t) => {
  const folder = await makeStage(t, 'geo')
  const env = { WEIR_HOME: makeFolder(t) }
  const ran = await runCli(['stage', 'run', folder], { env })
  assert.equal(ran.status, 7)
  assert.match(ran.err, /hint: start it with: weir up/)
})

test('run gives the process its key and the brokers, keeps the key, and hands on no other credential', async (t) => {
  const folder = await makeStage(t, 'geo')
  const home = makeFolder(t)
  const seen = join(home, 'seen.json')
  writeFileSync(
    join(folder, 'src', 'main.ts'),
    `import { writeFileSync } from 'node:fs'
     writeFileSync(${JSON.stringify(seen)}, JSON.stringify(process.env))
     process.exitCode = 3\n`,
  )
  let isNew = true
  const { baseUrl: api, requests } = await startServer(t, () => ({
    body: { ref: 'geo@1', ...(isNew ? { stageKey: 'weirkey_one' } : {}) },
  }))
  const run = { api, operatorKey: 'weir_op_secret', kafka: '127.0.0.1:9' }
  writeFileSync(join(home, 'run.json'), JSON.stringify(run))
  const env = {
    PATH: process.env.PATH ?? '',
    WEIR_HOME: home,
    WEIR_KEY: 'weir_a_b',
    WEIR_PREFIX: 'p',
  }
  for (isNew of [true, false]) {
    const ran = await runCli(['stage', 'run', folder, '--partitions', '2'], { env })
    // The status is that of the stage's process.
    assert.equal(ran.status, 3, ran.err)
    const given = JSON.parse(readFileSync(seen, 'utf8'))
    assert.deepEqual(
      [given.WEIR_STAGE_KEY, given.WEIR_KAFKA_BROKERS, given.WEIR_PREFIX, given.WEIR_KEY],
      ['weirkey_one', '127.0.0.1:9', 'p', undefined],
    )
    assert.doesNotMatch(JSON.stringify(given), /weir_op_secret/)
  }
  assert.equal(JSON.parse(requests[0]?.body ?? '').partitions, 2)
  assert.equal(requests[0]?.headers.authorization, 'Bearer weir_op_secret')
  assert.equal(statSync(join(home, 'secrets', 'stage-geo@1')).mode & 0o777, 0o600)
})

test('init in a checkout enters the stage in its lock file as npm would', async (t) => {
  const checkout = makeFolder(t)
  const lock = {
    name: 'weir',
    lockfileVersion: 3,
    packages: { '': { name: 'weir' }, a: {}, z: {} },
  }
  mkdirSync(join(checkout, 'deploy', 'local'), { recursive: true })
  mkdirSync(join(checkout, 'node_modules', '@weir'), { recursive: true })
  writeFileSync(join(checkout, 'deploy', 'local', 'up.ts'), '')
  writeFileSync(join(checkout, 'package.json'), '{"name":"weir"}')
  writeFileSync(join(checkout, 'package-lock.json'), JSON.stringify(lock))
  const stamp = join(checkout, 'node_modules', '.weir-installed')
  writeFileSync(stamp, '')
  const { status, out, err } = await runCli(['stage', 'init', 'geo'], { cwd: checkout })
  assert.equal(status, 0, err)
  assert.match(out, /^services\/stages\/geo\/src\/stage\.ts$/m)
  const { packages } = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8'))
  assert.deepEqual(Object.keys(packages), [
    '',
    'a',
    'node_modules/@weir/stage-geo',
    'services/stages/geo',
    'z',
  ])
  assert.deepEqual(packages['node_modules/@weir/stage-geo'], {
    resolved: 'services/stages/geo',
    link: true,
  })
  const link = join(checkout, 'node_modules', '@weir', 'stage-geo', 'package.json')
  assert.equal(JSON.parse(readFileSync(link, 'utf8')).name, '@weir/stage-geo')
  // What was installed is installed still: make has nothing to do.
  const { mtimeMs } = statSync(stamp)
  assert.ok(mtimeMs >= statSync(join(checkout, 'package-lock.json')).mtimeMs)
})
