import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from '../test/support.ts'
import { type CommandSpec, optionsOf } from './tree/spec.ts'
import { tree } from './tree/tree.ts'

type Leaf = { readonly path: readonly string[]; readonly spec: CommandSpec }

const leaves = (specs: readonly CommandSpec[], before: readonly string[] = []): Leaf[] =>
  specs.flatMap((spec) => {
    const path = [...before, spec.name]
    return spec.children === undefined ? [{ path, spec }] : leaves(spec.children, path)
  })

test('every command has help that says what it is for, and code that can be loaded', async () => {
  for (const { path, spec } of leaves(tree)) {
    const { status, out, err } = await runCli([...path, '--help'])
    assert.equal(status, 0, path.join(' '))
    assert.ok(out.includes(spec.summary), path.join(' '))
    for (const [example] of spec.examples ?? []) assert.ok(out.includes(example))
    assert.equal(err, '')
    assert.equal(typeof (await spec.load?.()), 'function', path.join(' '))
  }
})

test('every example is a command line that the commands themselves understand', () => {
  const names = new Set(leaves(tree).map(({ path }) => path.join(' ')))
  const aliases = new Map([
    ['get job', 'get jobs'],
    ['get pipeline', 'get pipelines'],
  ])
  for (const { spec } of leaves(tree)) {
    for (const [example] of spec.examples ?? []) {
      for (const [, words = ''] of example.matchAll(/\bweir ((?:[a-z]+ ?){1,2})/g)) {
        const [first = '', second = ''] = words.trim().split(' ')
        const path = aliases.get(`${first} ${second}`) ?? `${first} ${second}`
        assert.ok(names.has(path) || names.has(first), `${example}: ${words}`)
      }
      for (const [flag] of example.matchAll(/(?<= )--[a-z-]+/g)) {
        const known = optionsOf(spec).some(({ flags }) => flags.includes(flag))
        const isOther = /kubectl|context use/.test(example)
        assert.ok(known || isOther, `${example}: ${flag}`)
      }
    }
  }
})

test('the version is asked for by a command or by a flag', async () => {
  const asked = await runCli(['version'])
  assert.equal(asked.status, 0)
  assert.match(asked.out, /^weir \d+\.\d+\.\d+ /)
  for (const args of [['--version'], ['-V'], ['--no-color', '--version']]) {
    assert.deepEqual(await runCli(args), asked)
  }
})

test('no flag takes a secret', () => {
  for (const { path, spec } of leaves(tree)) {
    for (const { flags } of optionsOf(spec)) {
      const isSecret = /--(?:key|api-key|token|secret|password)\b(?!-)/.test(flags)
      assert.ok(!isSecret, `${path.join(' ')} ${flags}`)
    }
  }
})

test('a command that is not there ends with 2 and names the nearest one', async () => {
  const { status, err, out } = await runCli(['sumbit', 'hello'])
  assert.deepEqual({ status, out }, { status: 2, out: '' })
  assert.match(err, /unknown command 'sumbit'\n\(Did you mean submit\?\)/)
  assert.match((await runCli(['get', 'jbos'])).err, /Did you mean jobs\?/)
  assert.match((await runCli(['get', 'jobs', '--statsu', 'x'])).err, /Did you mean --status\?/)
})

test('a command line that lacks something, or says what cannot be, ends with 2', async () => {
  const wrong = [
    [],
    ['stage'],
    ['submit'],
    ['watch'],
    ['get', 'jobs', '-o', 'xml'],
    ['get', 'jobs', '--status', 'broken'],
    ['get', 'jobs', '--limit', '0'],
    ['get', 'jobs', '--tag', 'novalue'],
    ['get', 'jobs', '--api', 'ftp://x'],
    ['get', 'jobs', '--tenant', 'x'],
    ['submit', 'p', '--priority', '256'],
    ['submit', 'p', '-d', '{'],
    ['submit', 'p', '-d', '@no-such-file'],
    ['key', 'create', 'x'],
    ['replay', 'start', '--because', 'x'],
    ['stage', 'init', 'Bad_Name'],
    ['apply'],
  ]
  for (const args of wrong) {
    const { status, out, err } = await runCli(args)
    assert.deepEqual({ args, status, out }, { args, status: 2, out: '' })
    assert.notEqual(err, '')
  }
})

test('with -o json an error is an object on stderr, also where the command line is wrong', async () => {
  const nobody = ['--api', 'http://127.0.0.1:1']
  const unreachable = await runCli(['get', 'jobs', ...nobody, '-o', 'json'])
  assert.deepEqual({ status: unreachable.status, out: unreachable.out }, { status: 7, out: '' })
  const { error } = JSON.parse(unreachable.err)
  assert.equal(error.code, 'unreachable')
  assert.match(error.message, /127\.0\.0\.1:1/)
  assert.match(error.hint, /weir doctor/)

  const usage = await runCli(['get', 'jobs', '--nonsense', '--output=json'])
  assert.equal(usage.status, 2)
  assert.equal(JSON.parse(usage.err).error.code, 'usage')
})

test('options of the connection mean the same in front of the command and behind it', async () => {
  const api = 'http://127.0.0.1:1'
  const behind = await runCli(['get', 'jobs', '--api', api])
  assert.deepEqual(await runCli(['--api', api, 'get', 'jobs']), behind)
  assert.equal(behind.status, 7)
})

test('help loads no code that talks to a server or reads documents', () => {
  const main = join(import.meta.dirname, 'program.ts')
  const script = `
    import { registerHooks } from 'node:module'
    const urls = []
    registerHooks({ load(url, context, next) { urls.push(url); return next(url, context) } })
    const { run } = await import(${JSON.stringify(main)})
    const silent = { write() {} }
    const io = { stdout: silent, stderr: silent, stdin: [], env: {}, cwd: '/', signal: new AbortController().signal }
    const status = await run(['--help'], io)
    console.log(JSON.stringify({ status, urls }))
  `
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  const { status, urls } = JSON.parse(child.stdout) as { status: number; urls: string[] }
  assert.equal(status, 0)
  assert.ok(urls.some((url) => url.includes('/commander/')))
  const heavy = urls.filter((url) =>
    /libs\/(client|contracts)|\/(yaml|typebox)\/|commands\//.test(url),
  )
  assert.deepEqual(heavy, [])
})
