import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { withLogContext } from './log-context.ts'
import { createLogger } from './logger.ts'

function capture() {
  const lines: Record<string, unknown>[] = []
  const log = createLogger({
    service: 'svc',
    level: 'debug',
    destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
  })
  return { log, lines }
}

test('a line is one JSON object with the context of its work, however deep and late', async () => {
  const { log, lines } = capture()
  await withLogContext({ tenant: 'acme', job: 'j1' }, async () => {
    await withLogContext({ step: 'split', attempt: 2 }, async () => {
      await wait(1)
      log.info({ count: 3 }, 'inner')
    })
    log.warn('outer')
  })
  log.info('outside')
  const [inner, outer, outside] = lines
  const { time, ...rest } = inner ?? {}
  assert.match(String(time), /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(rest, {
    level: 'info',
    service: 'svc',
    tenant: 'acme',
    job: 'j1',
    step: 'split',
    attempt: 2,
    count: 3,
    msg: 'inner',
  })
  assert.equal(outer?.tenant, 'acme')
  assert.equal(outer?.step, undefined)
  assert.equal(outside?.tenant, undefined)
})

test('a line names trace and span also where the trace is not recorded, and nothing twice', () => {
  const raw: string[] = []
  const destination = { write: (line: string) => void raw.push(line) }
  const log = createLogger({ service: 'svc', destination })
  const traceparent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-00`
  const scope: { job?: string } = {}
  const late = {
    tenant: 'acme',
    traceparent,
    get job() {
      return scope.job ?? 'none'
    },
  }
  withLogContext(late, () => {
    scope.job = 'j1'
    withLogContext(late, () => log.child({ tenant: 'bound' }).info('line'))
  })
  assert.equal(raw[0]?.match(/"tenant"/g)?.length, 1)
  const { level: _, time: __, ...fields } = JSON.parse(raw[0] ?? '{}')
  assert.deepEqual(fields, {
    service: 'svc',
    tenant: 'bound',
    job: 'j1',
    trace_id: 'ab'.repeat(16),
    span_id: 'cd'.repeat(8),
    trace_flags: '00',
    msg: 'line',
  })
})

test('payloads and credentials are not written, wherever they stand', () => {
  const { log, lines } = capture()
  log.info(
    {
      payload: { ssn: 'hidden' },
      record: { value: 'hidden', offset: 7, nested: { deep: 'hidden' } },
      apiKey: 'hidden',
      accessToken: 'hidden',
      bytes: Buffer.from('hidden'),
      list: [{ a: 'hidden' }, 'shown'],
    },
    'line',
  )
  const written = JSON.stringify(lines[0])
  assert.ok(!written.includes('hidden'), written)
  assert.deepEqual(lines[0]?.record, { value: '[withheld]', offset: 7, nested: '[object]' })
  assert.deepEqual(lines[0]?.list, ['[object]', 'shown'])
  assert.equal(lines[0]?.bytes, '[6 bytes]')
})

test('an error is written with its whole chain of causes and nothing that it carries', () => {
  const { log, lines } = capture()
  const root = Object.assign(new TypeError('root'), { payload: 'hidden', code: 'E_ROOT' })
  log.error({ err: new Error('top', { cause: new Error('middle', { cause: root }) }) }, 'failed')
  const err = lines[0]?.err as {
    message: string
    cause: { cause: { name: string; code: string; payload?: string; stack: string } }
  }
  assert.equal(err.message, 'top')
  assert.equal(err.cause.cause.name, 'TypeError')
  assert.equal(err.cause.cause.code, 'E_ROOT')
  assert.equal(err.cause.cause.payload, undefined)
  assert.match(err.cause.cause.stack, /logger\.test\.ts/)
})

test('a line is bounded, whatever is put into it', () => {
  const { log, lines } = capture()
  const loop = new Error('loop')
  loop.cause = loop
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, 'x']))
  log.error({ err: loop, text: 'x'.repeat(100_000), list: Array(1000).fill(1), ...many }, 'big')
  assert.ok(JSON.stringify(lines[0]).length < 60_000)
})
