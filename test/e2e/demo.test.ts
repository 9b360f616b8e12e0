import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'

test('the demo gives the table of an independent program, line by line, and publishes each day once', async () => {
  const demo = spawn(process.execPath, [join(import.meta.dirname, '../demo/main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [demo.stdout, demo.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
  }
  const [code] = await once(demo, 'exit')
  assert.equal(code, 0, printed)
  assert.match(printed, /lines equal to the reference: 90 of 90/)
  assert.match(printed, /all as it must be/)
})
