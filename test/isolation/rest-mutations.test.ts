import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Checkout, copyCheckout } from '../support/checkout.ts'
import { isAssertion, runTests } from '../support/outcomes.ts'
import { type Patch, type RestMutant, restMutants } from './rest-mutants.ts'

// Takes one control of the API away at a time, in a copy of the sources, and shows that the test
// made for it then fails, and fails by an assertion of its own.

/** How many run at once; each in a copy of its own, which the next one takes over. */
const COPIES = 2
const copies: Checkout[] = []
const free: Checkout[] = []

before(() => {
  for (let count = 0; count < COPIES; count++) copies.push(copyCheckout())
  free.push(...copies)
})
after(() => {
  for (const copy of copies) copy.remove()
})

/** Runs `work` in a copy with the patches applied, each of which must fit in exactly one place. */
async function withPatched(
  patches: readonly Patch[],
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const copy = free.pop()
  assert.ok(copy, 'as many copies as tests at once')
  const originals = new Map<string, string>()
  try {
    for (const { file, from, to } of patches) {
      const path = join(copy.folder, file)
      const source = readFileSync(path, 'utf8')
      const found = source.split(from).length - 1
      const where = 'the control has moved, test/isolation/rest-mutants.ts must follow it'
      assert.equal(found, 1, `${file} has this ${found} times, not once (${where}):\n${from}`)
      if (!originals.has(path)) originals.set(path, source)
      const parts = source.split(from)
      writeFileSync(path, parts.join(to))
    }
    await work(copy.folder)
  } finally {
    for (const [path, source] of originals) writeFileSync(path, source)
    free.push(copy)
  }
}

const unique = (texts: readonly string[]): string[] => [...new Set(texts)].sort()

async function assertNoticed({ patches, file, test, says }: RestMutant): Promise<void> {
  await withPatched(patches, async (folder) => {
    const outcomes = await runTests(folder, [file], [test])
    const own = outcomes.find(({ name }) => name === test)
    assert.ok(own, `no such test: ${JSON.stringify(outcomes)}`)
    assert.ok(own.failure, 'the test passes without the control')
    assert.ok(isAssertion(own.failure), `no assertion failed: ${JSON.stringify(own.failure)}`)
    assert.match(own.failure.message, says)
  })
}

describe('the tests of the API', { concurrency: COPIES }, () => {
  it('pass in a copy that has all its controls', () =>
    withPatched([], async (folder) => {
      const files = unique(restMutants.map(({ file }) => file))
      const tests = unique(restMutants.map(({ test }) => test))
      const outcomes = await runTests(folder, files, tests)
      const passed = outcomes.filter(({ failure }) => failure === undefined)
      assert.deepEqual(unique(passed.map(({ name }) => name)), tests)
      assert.equal(passed.length, outcomes.length, JSON.stringify(outcomes))
    }))

  for (const mutant of restMutants) {
    it(`notice when ${mutant.sentence} (${mutant.number})`, () => assertNoticed(mutant))
  }
})
