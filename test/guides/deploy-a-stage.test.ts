import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createClient, type Job } from '@weir/client'
import { findFreePort } from '../../deploy/local/ports.ts'
import { readRunFile } from '../../deploy/local/run-file.ts'
import { type Checkout, copyCheckout } from '../support/checkout.ts'
import { findMissingContainers } from '../support/container-engine.ts'
import { type Block, findUnprinted, readBlocks } from '../support/markdown.ts'
import { type Shell, startShell } from '../support/shell.ts'
import { until } from '../support/until.ts'

/** The platform with all demo stages, on a machine that does other things too. */
const BLOCK_MS = 480_000
const HEAVY = 540_000

const home = mkdtempSync(join(tmpdir(), 'weir-guide-'))
let checkout: Checkout
let shell: Shell
let env: Record<string, string>

before(async () => {
  checkout = copyCheckout()
  const { PATH = '', DOCKER_HOST = '', NODE_COMPILE_CACHE = '' } = process.env
  env = {
    PATH,
    HOME: homedir(),
    DOCKER_HOST,
    NODE_COMPILE_CACHE,
    WEIR_HOME: home,
    WEIR_PORT: String(await findFreePort()),
    XDG_CONFIG_HOME: join(home, 'config'),
  }
  shell = startShell(checkout.folder, env)
})

after(async () => {
  if (checkout !== undefined) spawnSync('make', ['down'], { cwd: checkout.folder, env })
  await shell?.close()
  checkout?.remove()
  rmSync(home, { recursive: true, force: true })
})

const documentOf = (path: string) => readBlocks(readFileSync(join(checkout.folder, path), 'utf8'))

async function run(block: Block, from: string): Promise<string> {
  const wanted = Number(/^status=(\d+)$/.exec(block.words[0] ?? '')?.[1] ?? 0)
  const { status, printed } = await shell.run(block.text, BLOCK_MS, wanted !== 0)
  assert.equal(status, wanted, `${from}:${block.line}\n${block.text}\n${printed}`)
  return printed
}

test('README: what it says to paste works as it stands', { timeout: HEAVY }, async () => {
  const blocks = documentOf('README.md').filter(({ language }) => language === 'sh')
  const up = blocks.flatMap(({ text }) => /^make up\b.*$/m.exec(text) ?? []).at(0)
  assert.ok(up, 'README says how to start it')
  const started = await shell.run(up, BLOCK_MS)
  assert.equal(started.status, 0, started.printed)
  const first = blocks.find(({ text }) => text.includes('make -s env')) as Block
  const printed = await run({ ...first, text: `( ${first.text} )\n` }, 'README.md')
  const job = JSON.parse(printed.slice(printed.lastIndexOf('{"id"'))) as Job
  assert.deepEqual([job.status, job.result], ['completed', 0.5])
})

test('the guide for a first stage works from its first block to its last', {
  timeout: HEAVY,
}, async () => {
  const path = 'docs/guides/deploy-a-stage.md'
  const engine = await findMissingContainers(['node:24-bookworm-slim'])
  let printed = ''
  for (const block of documentOf(path)) {
    const { language, words, text, line } = block
    if (language === 'ts' || language === 'yaml') write(text)
    else if (language === 'diff') edit(text)
    else if (language === 'text') {
      const missing = findUnprinted(text, printed)
      assert.equal(missing, undefined, `${path}:${line} shows what was not printed:\n${printed}`)
    } else {
      assert.equal(language, 'sh', `${path}:${line}: nobody knows what to do with it`)
      if (words[0] === 'engine' && engine !== undefined) continue
      // Before all that was started ends.
      if (text.includes('weir down')) await checkRollout()
      printed = await run(block, path)
      if (text.includes('weir stage render')) {
        assert.deepEqual(printed.match(/^kind: Deployment$/m)?.length, 1, printed)
      }
    }
  }
  assert.equal(readRunFile(home), undefined, 'weir down has ended all of it')
})

/** The first line names the file: `// path`, `# path`. */
function write(text: string): void {
  const [, path] = /^(?:\/\/|#) (\S+)\n/.exec(text) ?? []
  assert.ok(path, `a block without a file name:\n${text}`)
  writeFileSync(join(checkout.folder, path), text.slice(text.indexOf('\n') + 1))
}

/** Each line that goes, and the one that comes in its place. */
function edit(text: string): void {
  const [head, ...lines] = text.trimEnd().split('\n') as [string, ...string[]]
  const path = join(checkout.folder, /^\+\+\+ (\S+)$/.exec(head)?.[1] as string)
  const gone = lines.filter((line) => line.startsWith('-'))
  const come = lines.filter((line) => line.startsWith('+'))
  assert.equal(gone.length, come.length, text)
  let source = readFileSync(path, 'utf8')
  for (const [at, line] of gone.entries()) {
    assert.equal(source.split(`${line.slice(1)}\n`).length, 2, `once in ${path}: ${line}`)
    source = source.replace(`${line.slice(1)}\n`, () => `${(come[at] as string).slice(1)}\n`)
  }
  writeFileSync(path, source)
}

/** Every job of the rollout has its result once, and both versions have had their part. */
async function checkRollout(): Promise<void> {
  const { contexts } = JSON.parse(
    readFileSync(join(home, 'config', 'weir', 'contexts.json'), 'utf8'),
  ) as { contexts: Record<string, { api: string; key: string }> }
  const { api: baseUrl, key } = contexts.team as { api: string; key: string }
  const { jobs } = createClient({ baseUrl, key })
  const ids = await until(
    'all jobs of the rollout to be over',
    async () => {
      const list: { id: string; status: string }[] = []
      let cursor: string | undefined
      do {
        const page = await jobs.list({
          tags: { load: 'rollout' },
          limit: 500,
          ...(cursor && { cursor }),
        })
        list.push(...page.jobs)
        cursor = page.nextCursor ?? undefined
      } while (cursor !== undefined)
      return list.every(({ status }) => status === 'completed') && list.map(({ id }) => id)
    },
    60_000,
  )
  const results: string[] = []
  for (const id of ids) results.push(((await jobs.get(id)).result as { text: string }).text)
  const numbers = results.map((text) => Number(/^JOB (\d+)!{1,2}$/.exec(text)?.[1]))
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: numbers.length }, (_, at) => at + 1),
  )
  const byNew = results.filter((text) => text.endsWith('!!')).length
  assert.ok(byNew > 0 && byNew < results.length, `${byNew} of ${results.length} by the new version`)
}
