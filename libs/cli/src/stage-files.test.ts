import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { STAGE_KINDS } from '@weir/contracts/states'
import { runCli } from '../test/support.ts'

const root = join(import.meta.dirname, '..', '..', '..')

test('the test of a generated stage passes, of every kind and under any name', async (t) => {
  // Inside of the checkout, so that the stage finds the packages it imports.
  const folder = mkdtempSync(join(root, '.weir-init-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const names = ['delete', 'geo-code-2', 'x', 'await', 'a-', 'weigh']
  for (const [at, kind] of STAGE_KINDS.entries()) {
    const name = names[at] as string
    const ran = await runCli(['stage', 'init', name, '--kind', kind, '--dir', '.'], { cwd: folder })
    assert.equal(ran.status, 0, ran.err)
    assert.deepEqual(ran.out.trimEnd().split('\n'), [
      join(name, 'package.json'),
      join(name, 'src', 'stage.ts'),
      join(name, 'src', 'stage.test.ts'),
      join(name, 'src', 'main.ts'),
      join(name, `${name}.yaml`),
    ])
  }
  const files = readdirSync(folder).map((name) => join(folder, name, 'src', 'stage.test.ts'))
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...files], {
    encoding: 'utf8',
    env,
  })
  assert.equal(child.status, 0, child.stdout)
  assert.match(child.stdout, new RegExp(`# pass ${2 * STAGE_KINDS.length}\n`))

  const again = await runCli(['stage', 'init', 'x', '--dir', '.'], { cwd: folder })
  assert.equal(again.status, 5)
})
