import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StageKind } from '@weir/contracts/states'

export type StageFile = { readonly path: string; readonly text: string }

const templates = join(import.meta.dirname, '..', 'templates')

const RESERVED = new Set(
  (
    'await break case catch class const continue debugger default delete do else enum export extends ' +
    'false finally for function if import in instanceof let new null package return static super ' +
    'switch this throw true try typeof var void while with yield'
  ).split(' '),
)

/** The files of a new stage: it does something small until its author has a better idea. */
export function stageFiles(name: string, kind: StageKind): readonly StageFile[] {
  const id = identifierOf(name)
  const options = [
    ...(kind === 'transform' ? [] : [`kind: '${kind}',`]),
    // An effect outside, or an agent's answer, may differ the second time.
    ...(kind === 'work' || kind === 'agent' ? [] : ['deterministic: true,']),
  ].join('\n  ')
  const fill = (template: string): string =>
    readFileSync(join(templates, `${template}.txt`), 'utf8')
      .replaceAll('{{id}}', id)
      .replaceAll('{{name}}', name)
      .replace('{{options}}', options)
  const own = kind === 'route' ? 'route-stage' : 'stage'
  return [
    { path: 'package.json', text: manifestOf(name) },
    { path: 'src/stage.ts', text: fill(`${own}.ts`) },
    { path: 'src/stage.test.ts', text: fill(`${own}.test.ts`) },
    { path: 'src/main.ts', text: fill('main.ts') },
    { path: `${name}.yaml`, text: fill('pipeline.yaml') },
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
