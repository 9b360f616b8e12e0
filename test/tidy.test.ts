import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root })
  .toString()
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)))
const sources = tracked.filter((file) => file.endsWith('.ts') && !file.startsWith('test/'))
const read = (file: string) => readFileSync(join(root, file), 'utf8')

/** Which packages of ours a package may import (ARCHITECTURE.md, layout and arrows). */
const arrows: Record<string, readonly string[]> = {
  contracts: [],
  core: ['contracts'],
  kafka: ['contracts'],
  postgres: ['contracts'],
  runtime: ['contracts'],
  sdk: ['contracts'],
  engine: ['sdk', 'core', 'kafka', 'runtime', 'contracts'],
  client: ['contracts'],
  cli: ['client', 'contracts'],
  control: ['core', 'kafka', 'postgres', 'runtime', 'contracts', 'client'],
  dispatcher: ['core', 'kafka', 'postgres', 'runtime', 'contracts'],
  ledger: ['core', 'kafka', 'postgres', 'runtime', 'contracts'],
  watchdog: ['core', 'kafka', 'postgres', 'runtime', 'contracts'],
  stages: ['sdk', 'engine', 'runtime'],
}

/** Packages of others that only one of ours may import. */
const owners: Record<string, string> = { kafkajs: 'kafka', pg: 'postgres', fastify: 'control' }

const packageOf = (file: string): string | undefined => {
  const [top, second] = file.split('/')
  return top === 'libs' || top === 'services' ? second : undefined
}

const importsOf = (file: string): string[] =>
  [...read(file).matchAll(/(?:from|import|import\()\s*'([^']+)'/g)].map(
    (match) => match[1] as string,
  )

test('packages import each other only along the arrows', () => {
  const wrong: string[] = []
  for (const file of sources) {
    const from = packageOf(file)
    if (from === undefined || file.endsWith('.test.ts') || file.includes('/test/')) continue
    const allowed = arrows[from]
    assert.ok(allowed, `${file}: the package ${from} has no row in the table of arrows`)
    for (const name of importsOf(file)) {
      const to = /^@weir\/([a-z]+)/.exec(name)?.[1]
      if (to !== undefined && to !== from && !allowed.includes(to)) wrong.push(`${file} → ${name}`)
      const owner = owners[name.split('/')[0] as string]
      if (owner !== undefined && owner !== from) wrong.push(`${file} → ${name} (only ${owner})`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('a package reaches another by its name, never by a path into it', () => {
  const wrong: string[] = []
  for (const file of sources) {
    const home = file
      .split('/')
      .slice(0, file.startsWith('services/stages/') ? 3 : 2)
      .join('/')
    if (packageOf(file) === undefined) continue
    for (const name of importsOf(file)) {
      if (!name.startsWith('.')) continue
      const target = join(dirname(file), name)
      if (!target.startsWith(`${home}/`) && !target.startsWith('test/support/')) {
        wrong.push(`${file} → ${name}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
})

test('the pure part neither reads a clock nor draws at random nor touches the outside', () => {
  const wrong: string[] = []
  for (const file of sources) {
    if (!file.startsWith('libs/core/src/') || file.endsWith('.test.ts')) continue
    const text = read(file)
    for (const word of [
      'Date.now',
      'performance.',
      'Math.random',
      'setTimeout',
      "'node:fs",
      "'node:net",
      'process.env',
    ]) {
      if (text.includes(word)) wrong.push(`${file}: ${word}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('every import of a package is declared by the package that makes it', () => {
  const wrong = new Set<string>()
  for (const file of sources) {
    const home = file
      .split('/')
      .slice(0, file.startsWith('services/stages/') ? 3 : 2)
      .join('/')
    if (packageOf(file) === undefined || file.endsWith('.test.ts') || file.includes('/test/'))
      continue
    const manifest = JSON.parse(read(join(home, 'package.json'))) as {
      name: string
      dependencies?: Record<string, string>
    }
    for (const name of importsOf(file)) {
      if (name.startsWith('.') || name.startsWith('node:')) continue
      const parts = name.split('/')
      const wanted = name.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] as string)
      if (wanted !== manifest.name && manifest.dependencies?.[wanted] === undefined) {
        wrong.add(`${home}: ${wanted}`)
      }
    }
  }
  assert.deepEqual([...wrong], [])
})

test('dependencies have exact versions and the lock file names no registry', () => {
  const wrong: string[] = []
  for (const file of tracked.filter((name) => name.endsWith('package.json'))) {
    const manifest = JSON.parse(read(file)) as Record<string, Record<string, string> | undefined>
    for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const [name, version] of Object.entries(manifest[group] ?? {})) {
        if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) wrong.push(`${file}: ${name} ${version}`)
      }
    }
  }
  assert.deepEqual(wrong, [])
  assert.doesNotMatch(read('package-lock.json'), /"resolved": "https?:/)
})

test('no file holds a path of a machine or a piece of unfinished work', () => {
  const wrong: string[] = []
  for (const file of tracked.filter((name) =>
    /\.(ts|sql|md|json|ya?ml|sh)$|Makefile|run$/.test(name),
  )) {
    if (file === 'test/tidy.test.ts' || file === 'package-lock.json') continue
    read(file)
      .split('\n')
      .forEach((line, at) => {
        if (/\/(?:home|Users|root|work)\/\w/.test(line) || /\b(?:TODO|FIXME)\b/.test(line)) {
          wrong.push(`${file}:${at + 1}: ${line.trim().slice(0, 80)}`)
        }
      })
  }
  assert.deepEqual(wrong, [])
})

test('tests wait for conditions: none sleeps, none is skipped or alone', () => {
  const wrong: string[] = []
  for (const file of tracked.filter((name) => name.endsWith('.test.ts'))) {
    if (file === 'test/tidy.test.ts') continue
    const text = read(file)
    if (/\b(?:test|it|describe)\.only\(/.test(text)) wrong.push(`${file}: only`)
    if (/\bsleep\(/.test(text)) wrong.push(`${file}: sleep`)
  }
  assert.deepEqual(wrong, [])
})
