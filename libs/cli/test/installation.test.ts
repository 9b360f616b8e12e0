import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Job } from '@weir/client'
import { readBlocks } from '../../../test/support/markdown.ts'
import { type System, startSystem } from '../../../test/support/system.ts'

const bin = join(import.meta.dirname, '..', 'bin', 'weir.js')
const root = join(import.meta.dirname, '..', '..', '..')
const folder = mkdtempSync(join(tmpdir(), 'weir-cli-'))
let system: System | undefined
let env: Record<string, string | undefined>

type Ran = { readonly status: number | null; readonly out: string; readonly err: string }

/** The command as people start it: a process of its own, with a context it has made itself. */
function weir(args: readonly string[], stdin = ''): Promise<Ran> {
  return start(args, stdin).ended
}

function start(args: readonly string[], stdin = '') {
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, env })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdin.end(stdin)
  const ended = once(child, 'close').then(([status]): Ran => ({ status, out, err }))
  return { child, ended }
}

async function json<Value>(args: readonly string[], stdin = ''): Promise<Value> {
  const { status, out, err } = await weir([...args, '-o', 'json'], stdin)
  assert.equal(status, 0, err)
  return JSON.parse(out) as Value
}

before(async () => {
  system = await startSystem({ demoStages: ['normalise', 'mean'], stages: [{ name: 'act' }] })
  const { PATH, HOME } = process.env
  env = { PATH, HOME, XDG_CONFIG_HOME: folder }
  const key = system.operator.key
  const set = ['context', 'set', 'operator', '--api', system.api, '--key-stdin', '--use']
  assert.equal((await weir(set, key)).status, 0)
  const made = await weir(['tenant', 'create', 'acme', '--save-key', 'acme.key'])
  assert.equal(made.status, 0, made.err)
  const own = ['context', 'set', 'acme', '--api', system.api, '--key-file', 'acme.key', '--use']
  assert.equal((await weir(own)).status, 0)
  const apply = ['apply', '-f', join(root, 'services/stages/pipelines/hello.yaml')]
  const applied = await weir(apply)
  assert.equal(applied.status, 0, applied.err)
})

after(async () => {
  await system?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('doctor finds all well, and for the operator too', async () => {
  for (const context of ['acme', 'operator']) {
    const { ok } = await json<{ ok: boolean }>(['doctor', '--context', context])
    assert.equal(ok, true, context)
  }
})

test('a job is submitted, awaited, shown, followed and traced', async () => {
  const submit = ['submit', 'hello', '-d', '{"values":[1,2,3,4,5]}', '--wait', '--tag', 'from=cli']
  const job = await json<Job>([...submit, '--exit-status'])
  assert.equal(job.status, 'completed')
  assert.equal(job.result, 0.5)
  assert.deepEqual(job.tags, { from: 'cli' })

  const found = await weir(['get', 'jobs', '--tag', 'from=cli', '-o', 'name'])
  assert.equal(found.out, `${job.id}\n`)
  const shown = await json<Job & { input: unknown }>([
    'get',
    'job',
    job.id,
    '--include',
    'input,outputs',
  ])
  assert.deepEqual(shown.input, { values: [1, 2, 3, 4, 5] })
  assert.deepEqual(shown.steps.normalise?.output, { values: [0, 0.25, 0.5, 0.75, 1] })

  const watched = await weir(['watch', job.id, '--exit-status'])
  assert.equal(watched.status, 0)
  const types = watched.out
    .trimEnd()
    .split('\n')
    .map((line) => line.split('  ')[1])
  assert.equal(types[0], 'job.queued')
  assert.equal(types.at(-1), 'job.completed')
  assert.equal(types.filter((type) => type === 'task.completed').length, 2)

  const traced = await weir(['trace', job.id])
  assert.match(traced.out, /^normalise +completed/m)
})

test('a failed job ends with 1 where its status is asked for', async () => {
  const submit = ['submit', 'hello', '-d', '{"values":[5,5,5]}', '--wait', '--exit-status']
  const { status, out } = await weir(submit)
  assert.equal(status, 1)
  assert.match(out, /^error +constant_input: .* \(step normalise\)$/m)
})

test('what a job has made is listed, and got into a file or a pipe', async () => {
  const makes = { steps: { only: { stage: 'act@1', config: { do: 'make' } } } }
  writeFileSync(join(folder, 'makes.json'), JSON.stringify(makes))
  const applied = await weir(['apply', '-f', 'makes.json'])
  assert.equal(applied.status, 0, applied.err)
  const { id } = await json<Job>(['submit', 'makes', '-d', '7', '--wait'])
  const names = await weir(['artifact', 'list', id, '-o', 'name'])
  const each = ['report.txt', 'raw.bin', 'rows.json']
  assert.deepEqual(names.out.trim().split('\n'), [...each, ...each])
  const into = await weir(['artifact', 'get', id, 'raw.bin', '--to', 'raw.bin'])
  assert.deepEqual([into.status, into.err], [0, 'raw.bin: 4 bytes in raw.bin\n'])
  assert.deepEqual([...readFileSync(join(folder, 'raw.bin'))], [0, 255, 10, 13])
  const piped = await weir(['artifact', 'get', id, 'report.txt'])
  assert.equal(piped.out, 'attempt 2: grün', 'the latest of that name')
  const over = await weir(['artifact', 'get', id, 'report.txt', '--to', 'raw.bin'])
  assert.deepEqual([over.status, readFileSync(join(folder, 'raw.bin')).length], [2, 4])
  const none = await weir(['artifact', 'get', id, 'nothing'])
  assert.equal(none.status, 3)
  const lines = await weir(['watch', id])
  assert.match(lines.out, /task\.event {2}only {2}make\.begun/)
  assert.match(lines.out, /task\.artifact {2}only {2}attempt 2 {2}rows\.json, 9 bytes/)
})

test('what the server refuses ends with the status of its kind', async () => {
  const outcomes = [
    [['get', 'job', '0198c000-0000-7000-8000-000000000000'], 3],
    [['submit', 'no-such-pipeline', '-d', '1'], 3],
    [['get', 'tenants'], 4],
    [['submit', 'hello', '-d', '{"values":"none"}'], 1],
    [['stage', 'activate', 'mean@1', '--context', 'operator'], 5],
    [['get', 'jobs', '--context', 'operator'], 4],
  ] as const
  for (const [args, status] of outcomes) {
    const ran = await weir(args)
    assert.equal(ran.status, status, `${args.join(' ')}: ${ran.err}`)
    assert.equal(ran.out, '')
  }
  const key = ['submit', 'hello', '--idempotency-key', 'once', '-d']
  const first = await weir([...key, '{"values":[1,2]}'])
  const again = await weir([...key, '{"values":[1,2]}'])
  assert.equal(again.out, first.out)
  assert.match(again.err, /submitted under this key already/)
  assert.equal((await weir([...key, '{"values":[3]}'])).status, 5)
})

test('lines beyond the quota wait for room, and a repeated import makes no further jobs', async () => {
  const { id, adminKey } = await json<{ id: string; adminKey: string }>([
    'tenant',
    'create',
    'small',
    '--quota',
    'maxQueuedJobs=40',
    '--context',
    'operator',
  ])
  writeFileSync(join(folder, 'small.key'), adminKey, { mode: 0o600 })
  const own = ['--key-file', 'small.key']
  await weir(['apply', '-f', join(root, 'services/stages/pipelines/hello.yaml'), ...own])
  const lines = Array.from({ length: 120 }, (_, at) => `{"values":[1,2,${at}]}\n`).join('')
  const load = ['submit', 'hello', '--ndjson', '-', '--raw', '--idempotency-key', 'import', ...own]
  const first = await weir(load, lines)
  assert.equal(first.status, 0, first.err)
  assert.match(first.err, /(quota_exceeded|backpressure), going on in/)
  assert.equal(new Set(first.out.trimEnd().split('\n')).size, 120)
  assert.equal((await weir(load, lines)).out, first.out)

  const bad = `${lines.slice(0, lines.indexOf('\n'))}\n{"values":[]}\n`
  const refused = await weir(['submit', 'hello', '--ndjson', '-', '--raw', ...own], bad)
  assert.equal(refused.status, 1)
  assert.match(refused.err, /line 2 \/input/)
  assert.equal((await weir(['tenant', 'delete', id, '--yes', '--context', 'operator'])).status, 0)
  assert.equal((await weir(['get', 'jobs', '--limit', '1'])).status, 0)
})

test('an operator looks into a tenant with a reason, and only so', async () => {
  const { tenants } = await json<{ tenants: { id: string; name: string }[] }>([
    'get',
    'tenants',
    '--context',
    'operator',
  ])
  const acme = tenants.find(({ name }) => name === 'acme')?.id as string
  const look = ['get', 'pipelines', '-o', 'name', '--context', 'operator', '--tenant', acme]
  assert.equal((await weir(look)).status, 2)
  assert.equal((await weir([...look, '--reason', 'asked for help'])).out, 'hello\nmakes\n')
})

test('diff tells the same from the different, lint what does not fit', async () => {
  const file = join(root, 'services/stages/pipelines/hello.yaml')
  assert.equal((await weir(['diff', '-f', file])).status, 0)
  const other = 'steps: { normalise: { stage: normalise@1, timeoutMs: 5 } }\n'
  const changed = await weir(['diff', '-f', '-', '--name', 'hello'], other)
  assert.equal(changed.status, 1)
  assert.match(changed.out, /^\+ {4}timeoutMs: 5$/m)

  writeFileSync(join(folder, 'loop.yaml'), 'steps: { a: { stage: mean@1, after: [a] } }\n')
  const linted = await weir(['lint', 'loop.yaml', '-o', 'json'])
  assert.equal(linted.status, 1)
  assert.equal(JSON.parse(linted.out).valid, false)
})

/** The lines of a page's shell examples that call the command, as arguments without their comments. */
function commandsOf(page: string): string[][] {
  const shell = readBlocks(readFileSync(join(root, page), 'utf8')).filter(
    ({ language }) => language === 'sh',
  )
  return shell
    .flatMap(({ text }) => text.split('\n'))
    .filter((line) => line.startsWith('weir '))
    .map((line) => line.replace(/\s+#.*$/, '').match(/"[^"]*"|\S+/g) ?? [])
    .map(([, ...args]) => args.map((arg) => arg.replaceAll('"', '')))
}

test('the commands of the guide for operators do what stands there', async () => {
  const slow = { do: 'slow', ms: 60_000 }
  const delays = { steps: { only: { stage: 'act@1', timeoutMs: 90_000, config: slow } } }
  writeFileSync(join(folder, 'delays.json'), JSON.stringify(delays))
  assert.equal((await weir(['apply', '-f', 'delays.json'])).status, 0)
  const [one, other] = await Promise.all(
    [1, 2].map(async () => (await weir(['submit', 'delays'])).out.trim()),
  )
  const { tenants } = await json<{ tenants: readonly { id: string; name: string }[] }>([
    ...['get', 'tenants', '--context', 'operator'],
  ])
  const acme = tenants.find(({ name }) => name === 'acme')?.id as string
  const commands = commandsOf('docs/guides/operating.md')
  const asked = new Set(commands.map(([name]) => name))
  assert.ok(asked.has('cancel') && asked.has('audit'), [...asked].join())
  for (const command of commands) {
    const id = command.includes('--tenant') ? acme : (one as string)
    const context = command[0] === 'cancel' ? 'acme' : 'operator'
    const args = command.map((arg) => (arg === '0192…' ? id : arg))
    const { status, err } = await weir([...args, '--context', context])
    assert.equal(status, 0, `weir ${command.join(' ')}: ${err}`)
  }
  for (const id of [one, other]) {
    const ended = await weir(['watch', id as string, '--timeout', '20000'])
    assert.match(ended.out, /job\.cancelled/)
  }
})

test('keys are made, used and revoked', async () => {
  const create = ['key', 'create', 'viewer', '--role', 'viewer', '--expires', '1h']
  const { id } = await json<{ id: string }>([...create, '--save-key', 'viewer.key'])
  assert.equal((await weir(['get', 'pipelines', '--key-file', 'viewer.key'])).status, 0)
  const submit = ['submit', 'hello', '-d', '{"values":[1,2]}', '--key-file', 'viewer.key']
  assert.equal((await weir(submit)).status, 4)
  assert.equal((await weir(['key', 'revoke', id, '--yes'])).status, 0)
  const { revokedAt } = await json<{ revokedAt: string | null }>(['get', 'key', id])
  assert.notEqual(revokedAt, null)
})

test('Ctrl-C ends a watch with 130 and says how to go on', async () => {
  await weir(['pipeline', 'pause', 'hello'])
  const id = (await weir(['submit', 'hello', '-d', '{"values":[1,2]}'])).out.trim()
  const { child, ended } = start(['watch', id])
  await once(child.stdout, 'data')
  child.kill('SIGINT')
  const { status, err } = await ended
  assert.equal(status, 130)
  assert.match(err, new RegExp(`weir watch ${id}`))
  const late = await weir(['watch', id, '--timeout', '100'])
  assert.equal(late.status, 6)
  assert.equal((await weir(['pipeline', 'resume', 'hello'])).status, 0)
  assert.equal((await weir(['watch', id, '--exit-status'])).status, 0)
})

test('who reads no further ends a list without a complaint', async () => {
  const { child, ended } = start(['get', 'jobs', '-o', 'json', '--limit', '500'])
  child.stdout.destroy()
  const { err } = await ended
  assert.equal(err, '')
})

test('the audit log is shown to whom it is for, with who was denied what', async () => {
  const made = await weir(['key', 'create', 'looker', '--role', 'viewer', '--save-key', 'v.key'])
  assert.equal(made.status, 0, made.err)
  const denied = await weir(['get', 'keys', '--key-file', 'v.key'])
  assert.notEqual(denied.status, 0)
  const forbidden = await weir(['audit', '--key-file', 'v.key'])
  assert.notEqual(forbidden.status, 0)
  type Audit = { entries: { action: string; detail: Record<string, unknown> | null }[] }
  const own = await json<Audit>(['audit', '--since', '1h', '--context', 'acme'])
  const actions = own.entries.map(({ action }) => action)
  assert.ok(actions.includes('key.create') && actions.includes('pipeline.publish'))
  const lately = ['audit', '--decision', 'denied', '--limit', '2', '--context', 'acme']
  const { entries } = await json<Audit>(lately)
  assert.deepEqual(
    entries.map(({ detail }) => detail?.request),
    ['GET /v1/audit', 'GET /v1/keys'],
  )
  const common = await json<Audit>(['audit', '--action', 'tenant.create', '--context', 'operator'])
  assert.ok(common.entries.length > 0)
  const table = await weir(['audit', '--action', 'stage.register', '--context', 'operator'])
  assert.match(table.out, /stage:mean@1/)
})
