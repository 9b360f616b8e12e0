import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createInstallation, type Installation } from './installation.ts'
import type { PlatformProcess } from './processes.ts'
import { type RunFile, readRunFile, runFilePath } from './run-file.ts'
import { queryPostgres } from './test-postgres.ts'
import { afterTest, makeTestHome } from './test-support.ts'
import { waitUntil } from './wait.ts'

const answer = `import { createServer } from 'node:http'
const { WEIR_HTTP_PORT: port, WEIR_HTTP_HOST: host } = process.env
const serve = (handle) => createServer(handle).listen(Number(port), host)`

// Registers a stage with 201 and a key the first time, knows it the next time, makes further keys.
const api = `${answer}
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
const operatorKey = readFileSync(process.env.WEIR_OPERATOR_KEY_FILE, 'utf8').trim()
const known = process.argv[1] + '.known'
serve((req, res) => {
  if (req.url === '/readyz') return res.end()
  if (req.headers.authorization !== 'Bearer ' + operatorKey) return res.writeHead(401).end()
  if (req.method === 'POST' && req.url === '/v1/stages/echo@1/key') return res.end('{"stageKey":"further"}')
  if (req.method !== 'PUT' || req.url !== '/v1/stages/echo@1') return res.writeHead(404).end()
  const isNew = !existsSync(known)
  writeFileSync(known, '')
  res.writeHead(isNew ? 201 : 200).end(isNew ? '{"stageKey":"first"}' : '{}')
})`

const stage = `${answer}
serve((req, res) => res.end(process.env.WEIR_STAGE_KEY))`

function makeProcesses(dir: string): PlatformProcess[] {
  writeFileSync(join(dir, 'api.mjs'), api)
  writeFileSync(join(dir, 'echo.mjs'), stage)
  return [
    {
      name: 'echo',
      main: join(dir, 'echo.mjs'),
      stage: { ref: 'echo@1', partitions: 1 },
      tier: 2,
    },
    { name: 'api', main: join(dir, 'api.mjs'), isApi: true, secrets: ['operatorKey'], tier: 1 },
  ]
}

function makeInstallation(t: TestContext, home: string): Installation {
  const installation = createInstallation({
    home,
    only: ['api', 'echo'],
    processes: makeProcesses(home),
    progress: () => {},
    log: () => {},
  })
  afterTest(t, () => installation.stop(1_000))
  return installation
}

test('stages are registered once, keep their key, and run.json follows every restart', async (t) => {
  const home = makeTestHome(t)
  const first = makeInstallation(t, home)
  const run = await first.start()
  assert.deepEqual(run, readRunFile(home))
  assert.equal(run.status, 'ready')
  assert.equal(statSync(runFilePath(home)).mode & 0o777, 0o600)
  assert.deepEqual(run.stageKeys, { 'echo@1': 'first' })
  assert.equal(await (await fetch(run.urls.echo ?? '')).text(), 'first')
  assert.equal(run.urls.api, run.api)

  const killed = run.pids.echo ?? 0
  process.kill(killed, 'SIGKILL')
  const follows = (): boolean => ![undefined, killed].includes(readRunFile(home)?.pids.echo)
  assert.ok(await waitUntil(follows, { timeoutMs: 5_000 }))
  const answers = async (): Promise<boolean> => (await fetch(run.urls.echo ?? '')).ok
  assert.ok(await waitUntil(answers, { timeoutMs: 5_000 }))
  assert.equal(readRunFile(home)?.pids.api, run.pids.api)
  await first.stop(2_000)
  assert.deepEqual(readRunFile(home)?.pids, {})

  const second = makeInstallation(t, home)
  assert.deepEqual((await second.start()).stageKeys, { 'echo@1': 'first' })
})

test('a service finds a migrated database and gets in as its own role', async (t) => {
  const home = makeTestHome(t)
  const main = join(home, 'probe.mjs')
  writeFileSync(main, `${answer}\nserve((req, res) => res.end(process.env.WEIR_POSTGRES_URL))`)
  const start = async (): Promise<[RunFile, Installation]> => {
    const installation = createInstallation({
      home,
      only: ['postgres', 'probe'],
      processes: [{ name: 'probe', main, databaseRole: 'ledger', tier: 1 }],
      progress: () => {},
      log: () => {},
    })
    afterTest(t, () => installation.stop(10_000))
    return [await installation.start(), installation]
  }
  const [run, installation] = await start()
  const url = await (await fetch(run.urls.probe ?? '')).text()
  const who = await queryPostgres(url, 'select current_user, current_database()')
  assert.deepEqual(who, [{ current_user: 'weir_ledger', current_database: 'weir' }])
  const admin = await queryPostgres(run.postgres ?? '', 'select current_user, current_database()')
  assert.deepEqual(admin, [{ current_user: 'postgres', current_database: 'weir' }])

  await installation.stop(10_000)
  const [again] = await start()
  const urlAgain = await (await fetch(again.urls.probe ?? '')).text()
  assert.deepEqual(await queryPostgres(urlAgain, 'select current_user, current_database()'), who)
})

test('what this checkout does not have is named before anything starts', async (t) => {
  const installation = createInstallation({
    home: makeTestHome(t),
    only: ['ghost'],
    processes: [{ name: 'ghost', main: 'services/ghost/src/main.ts', tier: 1 }],
    progress: () => {},
    log: () => {},
  })
  afterTest(t, () => installation.stop(0))
  await assert.rejects(installation.start(), { message: /no services\/ghost\/src\/main\.ts/ })
})
