import type { StageKind } from '@weir/contracts/states'

export type StageFile = { readonly path: string; readonly text: string }

const RESERVED = new Set(
  (
    'await break case catch class const continue debugger default delete do else enum export extends ' +
    'false finally for function if import in instanceof let new null package return static super ' +
    'switch this throw true try typeof var void while with yield'
  ).split(' '),
)

/** The files of a new stage: it puts words into upper case until its author has a better idea. */
export function stageFiles(name: string, kind: StageKind): readonly StageFile[] {
  const id = identifierOf(name)
  return [
    { path: 'package.json', text: manifestOf(name) },
    { path: 'src/stage.ts', text: stageOf(name, id, kind) },
    { path: 'src/stage.test.ts', text: testOf(id, kind) },
    {
      path: 'src/main.ts',
      text: `import { runStage } from '@weir/engine'\nimport { ${id} } from './stage.ts'\n\nawait runStage(${id})\n`,
    },
  ]
}

function identifierOf(name: string): string {
  const id = name.replace(/-+([a-z0-9]?)/g, (_, letter: string) => letter.toUpperCase())
  return RESERVED.has(id) ? `${id}Stage` : id
}

function manifestOf(name: string): string {
  const manifest = {
    name: `@weir/stage-${name}`,
    version: '0.1.0',
    private: true,
    type: 'module',
    license: 'Apache-2.0',
    exports: { '.': './src/stage.ts' },
    dependencies: { '@weir/engine': '0.1.0', '@weir/sdk': '0.1.0', typebox: '1.4.3' },
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function stageOf(name: string, id: string, kind: StageKind): string {
  const isRoute = kind === 'route'
  const result = isRoute
    ? `return ctx.route([upper === text ? 'loud' : 'quiet'], { text: upper })`
    : 'return { text: upper }'
  // An effect outside, or an agent's answer, may differ the second time.
  const pure = kind === 'work' || kind === 'agent' ? '' : '  deterministic: true,\n'
  return `import { defineStage, Permanent } from '@weir/sdk'
import { Type } from 'typebox'

const text = Type.String({ maxLength: 10_000 })

/** Puts words into upper case${isRoute ? ', and tells the loud from the quiet' : ''}. */
export const ${id} = defineStage({
  name: '${name}',
  version: '1.0.0',
${kind === 'transform' ? '' : `  kind: '${kind}',\n`}  input: Type.Object({ text }),
  output: Type.Object({ text }),
${pure}  run({ text }${isRoute ? ', ctx' : ''}) {
    if (text === '') throw new Permanent('empty_text', 'There is no text')
    const upper = text.toUpperCase()
    ${result}
  },
})
`
}

function testOf(id: string, kind: StageKind): string {
  const branches =
    kind === 'route'
      ? "  assert.deepEqual(outcome.status === 'ok' && outcome.taken, ['quiet'])\n"
      : ''
  return `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { ${id} } from './stage.ts'

test('words are put into upper case', async () => {
  const { outcome } = await testStage(${id}).run({ text: 'weir' })
  assert.deepEqual(outcome.status === 'ok' && outcome.output, { text: 'WEIR' })
${branches}})

test('no text fails for good, with a code', async () => {
  const { outcome } = await testStage(${id}).run({ text: '' })
  assert.equal(outcome.status === 'fail' && outcome.error.code, 'empty_text')
})

test('what has no text is refused', async () => {
  const { outcome } = await testStage(${id}).run({})
  assert.equal(outcome.status === 'fail' && outcome.error.class, 'contract')
})
`
}
