import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createInstallation } from './installation.ts'
import { findJaeger } from './jaeger.ts'
import type { RunFile } from './run-file.ts'
import { afterTest, makeTestHome } from './test-support.ts'
import { waitUntil } from './wait.ts'

/** Answers on all ports of its configuration, as Jaeger does. */
const standIn = `#!${process.execPath}
const { readFileSync } = require('node:fs')
const config = readFileSync(process.argv[process.argv.indexOf('--config') + 1], 'utf8')
for (const [, host, port] of config.matchAll(/endpoint: "([\\d.]+):(\\d+)"/g))
  require('node:http').createServer((_, response) => response.end('{}')).listen(Number(port), host)
`

function makeProgram(dir: string): string {
  const path = join(dir, 'jaeger')
  mkdirSync(dir, { recursive: true })
  writeFileSync(path, standIn)
  chmodSync(path, 0o755)
  return path
}

test('a Jaeger is taken from WEIR_JAEGER_BIN, else from PATH', (t) => {
  const home = makeTestHome(t)
  const [empty, full] = [join(home, 'empty'), join(home, 'full')]
  mkdirSync(join(empty, 'jaeger'), { recursive: true })
  const program = makeProgram(full)
  assert.equal(findJaeger({ PATH: `${empty}:${full}` }), program)
  assert.equal(findJaeger({ PATH: empty }), undefined)
  assert.equal(findJaeger({ PATH: empty, WEIR_JAEGER_BIN: program }), program)
  assert.equal(findJaeger({ PATH: full, WEIR_JAEGER_BIN: 'off' }), undefined)
  for (const named of [empty, join(full, 'other')]) {
    assert.throws(() => findJaeger({ PATH: full, WEIR_JAEGER_BIN: named }), {
      code: 'invalid_option',
      message: `WEIR_JAEGER_BIN "${named}" is not a program`,
    })
  }
})

/** An installation of one process, which answers with its environment. */
async function start(t: TestContext, home: string, jaegerBinary: string): Promise<RunFile> {
  const main = join(home, 'probe.mjs')
  writeFileSync(
    main,
    `import { createServer } from 'node:http'
    const { WEIR_HTTP_PORT: port, WEIR_HTTP_HOST: host, WEIR_OTLP_URL, WEIR_JAEGER_URL } = process.env
    createServer((_, response) => response.end(JSON.stringify({ WEIR_OTLP_URL, WEIR_JAEGER_URL })))
      .listen(Number(port), host)`,
  )
  const installation = createInstallation({
    home,
    only: ['jaeger', 'probe'],
    processes: [{ name: 'probe', main, tier: 1 }],
    jaegerBinary,
    progress: () => {},
    log: () => {},
  })
  afterTest(t, () => installation.stop(5_000))
  return installation.start()
}

test('a Jaeger that is there is run, kept running, and told to all processes', async (t) => {
  const home = makeTestHome(t)
  const run = await start(t, home, makeProgram(join(home, 'programs')))
  assert.match(run.jaeger ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
  assert.match(run.otlp ?? '', /^http:\/\/127\.0\.0\.1:\d+$/)
  const environment = await (await fetch(run.urls.probe ?? '')).json()
  assert.deepEqual(environment, { WEIR_OTLP_URL: run.otlp, WEIR_JAEGER_URL: run.jaeger })
  const config = readFileSync(join(home, 'jaeger', 'config.yaml'), 'utf8')
  assert.match(config, /memory: \{ max_traces: \d+ \}/)
  assert.equal(
    config.match(/endpoint: "127\.0\.0\.1:/g)?.length,
    config.match(/endpoint:/g)?.length,
  )

  process.kill(run.pids.jaeger ?? 0, 'SIGKILL')
  const answers = async (): Promise<boolean> => (await fetch(`${run.jaeger}/`)).ok
  assert.ok(await waitUntil(() => answers().catch(() => false), { timeoutMs: 10_000 }))
})

test('with a collector of the user’s own no Jaeger is run', async (t) => {
  const home = makeTestHome(t)
  process.env.WEIR_OTLP_URL = 'http://127.0.0.1:9'
  afterTest(t, () => {
    delete process.env.WEIR_OTLP_URL
  })
  const run = await start(t, home, makeProgram(join(home, 'programs')))
  assert.deepEqual(Object.keys(run.pids), ['probe'])
  assert.deepEqual([run.otlp, run.jaeger], ['http://127.0.0.1:9', undefined])
})
