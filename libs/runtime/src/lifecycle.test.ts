import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

const folder = mkdtempSync(join(tmpdir(), 'weir-lifecycle-'))
const runtime = JSON.stringify(new URL('./index.ts', import.meta.url).href)
let count = 0

type Line = { level: string; msg: string; err?: { message: string } }

/** Runs a process whose service is `body`, sends it signals, and returns its lines and exit code. */
async function run(
  body: string,
  options: {
    env?: Record<string, string>
    onLine?: (line: Line, child: ChildProcess) => void
  } = {},
): Promise<{ code: number | null; lines: Line[] }> {
  count += 1
  const path = join(folder, `service-${count}.ts`)
  writeFileSync(
    path,
    `import { runService } from ${runtime}\nawait runService('svc', async (context) => {\n${body}\n})\n`,
  )
  const child = spawn(process.execPath, [path], {
    env: { PATH: process.env.PATH ?? '', ...options.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: Line[] = []
  let rest = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) {
      const line = JSON.parse(part) as Line
      lines.push(line)
      options.onLine?.(line, child)
    }
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, lines }
}

const stopOnStarted = (line: Line, child: ChildProcess) => {
  if (line.msg === 'started') child.kill('SIGTERM')
}
const messages = (lines: readonly Line[]) => lines.map(({ msg }) => msg)

test('a stop in time ends with 0, even when a handle was left open', async () => {
  const { code, lines } = await run(
    `setInterval(() => {}, 1000)
     return { stop: async () => { context.log.info('draining') } }`,
    { onLine: stopOnStarted },
  )
  assert.deepEqual(messages(lines), ['started', 'stopping', 'draining', 'stopped'])
  assert.equal(code, 0)
})

test('a stop that takes longer than the grace ends with 1', async () => {
  const { code, lines } = await run(`return { stop: () => new Promise(() => {}) }`, {
    env: { WEIR_STOP_GRACE_MS: '50' },
    onLine: stopOnStarted,
  })
  assert.equal(messages(lines).at(-1), 'the stop failed')
  assert.equal(code, 1)
})

test('a second signal stops at once', async () => {
  const { code, lines } = await run(
    `return { stop: () => new Promise((resolve) => setTimeout(resolve, 20_000)) }`,
    {
      onLine: (line, child) => {
        if (line.msg === 'started' || line.msg === 'stopping') child.kill('SIGTERM')
      },
    },
  )
  assert.ok(lines.some(({ level }) => level === 'fatal'))
  assert.equal(code, 1)
})

test('a start that waits can be stopped too', async () => {
  const { code } = await run(`context.log.info('waiting'); return new Promise(() => {})`, {
    env: { WEIR_STOP_GRACE_MS: '50' },
    onLine: (line, child) => {
      if (line.msg === 'waiting') child.kill('SIGTERM')
    },
  })
  assert.equal(code, 1)
})

test('what goes wrong at the start is written, with every fault of the configuration', async () => {
  const { code, lines } = await run(`throw new Error('no database')`)
  assert.equal(lines.at(-1)?.err?.message, 'no database')
  assert.equal(code, 1)
  const config = await run(`return { stop: async () => {} }`, {
    env: { WEIR_STOP_GRACE_MS: 'x', WEIR_LOG_LEVEL: 'loud' },
  })
  assert.match(config.lines[0]?.err?.message ?? '', /WEIR_LOG_LEVEL[\s\S]*WEIR_STOP_GRACE_MS/)
  assert.equal(config.code, 1)
})

test('a rejection that nobody handles is written and ends the process', async () => {
  const { code, lines } = await run(
    `setTimeout(() => void Promise.reject(new Error('lost')), 10)
     return { stop: async () => {} }`,
  )
  // The last words overtake what is being written.
  assert.equal(lines.find(({ level }) => level === 'fatal')?.err?.message, 'lost')
  assert.equal(code, 1)
})

test('a part that cannot go on stops the process in order, as a failure', async () => {
  const { code, lines } = await run(
    `setTimeout(() => context.fail(new Error('fenced')), 10)
     return { stop: async () => { context.log.info('draining') } }`,
  )
  assert.deepEqual(messages(lines), [
    'started',
    'a part of the process cannot go on',
    'draining',
    'stopped',
  ])
  assert.equal(code, 1)
})
