import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { findFreePort } from './ports.ts'
import { restartDelayMs } from './supervised-process.ts'
import { createSupervisor } from './supervisor.ts'
import { afterTest, isAlive, makeTestHome, scriptSpec } from './test-support.ts'
import { waitUntil } from './wait.ts'

const idle = 'setInterval(() => {}, 1000)'

test('a killed process is started again under a new pid, and its watcher hears of both', async (t) => {
  const seen: (number | undefined)[] = []
  const home = makeTestHome(t)
  const supervisor = createSupervisor({ home, onChange: (pids) => seen.push(pids.worker) })
  afterTest(t, () => supervisor.stopAll(1_000))
  await supervisor.add(scriptSpec('worker', idle))
  const first = supervisor.pids().worker
  assert.ok(first && isAlive(first))

  process.kill(first, 'SIGKILL')
  const isBack = (): boolean => ![undefined, first].includes(supervisor.pids().worker)
  assert.ok(await waitUntil(isBack, { timeoutMs: 5_000 }))
  const distinct = seen.filter((pid, index) => index === 0 || pid !== seen[index - 1])
  assert.deepEqual(distinct, [undefined, first, undefined, supervisor.pids().worker])
})

test('a process that keeps dying is restarted ever more slowly', async (t) => {
  assert.deepEqual([1, 2, 3, 6, 7, 50].map(restartDelayMs), [200, 400, 800, 6400, 10_000, 10_000])

  const lines: string[] = []
  const home = makeTestHome(t)
  const supervisor = createSupervisor({ home, log: (line) => lines.push(line) })
  afterTest(t, () => supervisor.stopAll(1_000))
  await supervisor.add(scriptSpec('dying', 'process.exit(3)'))
  const announcesThird = (): boolean => lines.some((line) => line.includes('in 800 ms'))
  assert.ok(await waitUntil(announcesThird, { timeoutMs: 10_000 }))
  const deaths = lines.filter((line) => line.includes('ended'))
  assert.deepEqual(
    deaths.slice(0, 2),
    [200, 400].map((ms) => `dying ended (exit code 3), starting it again in ${ms} ms`),
  )
})

test('a process is ready when its URL answers, and its output is in its log', async (t) => {
  const home = makeTestHome(t)
  const supervisor = createSupervisor({ home })
  afterTest(t, () => supervisor.stopAll(1_000))
  const port = await findFreePort()
  const script = `import { createServer } from 'node:http'
    let asked = 0
    console.log('hello')
    createServer((_, res) => { asked += 1; res.statusCode = asked < 3 ? 503 : 200; res.end(String(asked)) })
      .listen(${port}, '127.0.0.1')`
  const readyUrl = `http://127.0.0.1:${port}/readyz`
  await supervisor.add(scriptSpec('server', script, { readyUrl }))
  assert.equal(await (await fetch(readyUrl)).text(), '4')
  assert.equal(readFileSync(join(home, 'logs', 'server.log'), 'utf8'), 'hello\n')
})

test('what dies while starting is reported with the end of its log', async (t) => {
  const supervisor = createSupervisor({ home: makeTestHome(t) })
  afterTest(t, () => supervisor.stopAll(1_000))
  const spec = scriptSpec('broken', `console.error('no such setting'); process.exit(1)`, {
    readyUrl: 'http://127.0.0.1:9/',
    restart: false,
  })
  await assert.rejects(supervisor.add(spec), { code: 'not_ready', message: /no such setting/ })
})

test('what is told to stop ends tier by tier, the stubborn and grandchildren too', async (t) => {
  const home = makeTestHome(t)
  const ended: string[] = []
  let before: Record<string, number> = {}
  const supervisor = createSupervisor({
    home,
    onChange: (pids) => {
      for (const name of Object.keys(before)) if (!pids[name]) ended.push(name)
      before = pids
    },
  })
  const marks = join(home, 'up-')
  const mark = (name: string): string =>
    `import { writeFileSync } from 'node:fs'; writeFileSync('${marks}${name}', '')`
  const isUp = async (name: string): Promise<boolean> => existsSync(`${marks}${name}`)
  const nested = `${mark('stubborn')}; import { spawn } from 'node:child_process'
    process.on('SIGTERM', () => {})
    const child = spawn(process.execPath, ['-e', ${JSON.stringify(idle)}])
    writeFileSync('${marks}grandchild', String(child.pid)); ${idle}`
  const specs = [
    scriptSpec('base', `${mark('base')}; ${idle}`, { tier: 0, isReady: () => isUp('base') }),
    scriptSpec('stubborn', nested, { tier: 1, isReady: () => isUp('grandchild') }),
    scriptSpec('top', `${mark('top')}; ${idle}`, { tier: 2, isReady: () => isUp('top') }),
  ]
  for (const spec of specs) await supervisor.add(spec)
  const grandchild = Number(readFileSync(`${marks}grandchild`, 'utf8'))
  assert.ok(isAlive(grandchild))

  await supervisor.stopAll(300)
  assert.deepEqual(ended, ['top', 'stubborn', 'base'])
  assert.ok(await waitUntil(() => !isAlive(grandchild), { timeoutMs: 2_000 }))
  await assert.rejects(supervisor.add(scriptSpec('late', idle)), /stopping/)
})
