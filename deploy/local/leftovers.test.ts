import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { findLeftovers, stopLeftovers } from './leftovers.ts'
import { afterTest, isAlive, makeTestHome } from './test-support.ts'

test('what a killed supervisor leaves behind is found and stopped, and nothing else', async (t) => {
  const home = makeTestHome(t)
  const script = `
    import { createSupervisor } from ${JSON.stringify(join(import.meta.dirname, 'supervisor.ts'))}
    import { scriptSpec } from ${JSON.stringify(join(import.meta.dirname, 'test-support.ts'))}
    const supervisor = createSupervisor({ home: ${JSON.stringify(home)} })
    await supervisor.add(scriptSpec('polite', 'setInterval(() => {}, 1000)'))
    await supervisor.add(scriptSpec('rude', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"))
    console.log(JSON.stringify(supervisor.pids()))`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // A user's shell may have exported WEIR_HOME: that makes nothing a leftover.
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
    env: { WEIR_HOME: home },
  })
  afterTest(t, () => bystander.kill('SIGKILL'))
  const [line] = await once(owner.stdout, 'data')
  const pids = Object.values(JSON.parse(String(line))) as number[]
  owner.kill('SIGKILL')
  await once(owner, 'exit')

  const found = findLeftovers(home).map(({ pid }) => pid)
  assert.deepEqual(found.sort(), pids.sort())
  assert.deepEqual(findLeftovers(`${home}-other`), [])

  assert.equal(await stopLeftovers(home, 500), 2)
  assert.deepEqual(findLeftovers(home), [])
  assert.ok(bystander.pid && isAlive(bystander.pid))
})
