import { fileOption, nameOption } from './shared-options.ts'
import { ALL_FORMATS, type CommandSpec, type OptionSpec, yesOption } from './spec.ts'

const group = 'Pipelines:'
const pipeline = {
  name: '<pipeline>',
  text: 'name of the pipeline',
  completes: 'pipelines',
} as const

const actOn = (
  name: 'pause' | 'resume' | 'delete' | 'versions' | 'use',
  summary: string,
  options: readonly OptionSpec[] = [],
): CommandSpec => ({
  name,
  summary,
  args:
    name === 'use' ? [pipeline, { name: '<version>', text: 'a published version' }] : [pipeline],
  options,
  isRemote: true,
  formats: ALL_FORMATS,
  load: async () => (await import('../commands/pipeline.ts')).pipelineCommands[name],
})

export const pipelineCommands: readonly CommandSpec[] = [
  {
    name: 'apply',
    group,
    summary: 'Publish pipelines from files',
    more: 'A file that says what is current already changes nothing. Exit status 8 where only some could be published.',
    options: [
      fileOption,
      nameOption,
      { flags: '--if-version <n>', text: 'only while this version is the current one' },
      { flags: '--dry-run', text: 'let the server check; publish nothing' },
    ],
    examples: [
      ['weir apply -f pipelines/', 'all of a folder; each is named as its file'],
      ['weir apply -f - --name hello < hello.yaml', 'one from stdin'],
    ],
    isRemote: true,
    formats: ALL_FORMATS,
    load: async () => (await import('../commands/apply.ts')).apply,
  },
  {
    name: 'diff',
    group,
    summary: 'Compare files with what is published',
    more: 'Exit status 0: the same; 1: something differs; more: it could not be found out.',
    options: [fileOption, nameOption],
    examples: [['weir diff -f pipelines/', 'what apply would change']],
    isRemote: true,
    load: async () => (await import('../commands/diff.ts')).diff,
  },
  {
    name: 'lint',
    group,
    summary: 'Check a pipeline, publish nothing',
    more: 'The server checks all: shape, graph, stages, contracts. With --offline only the shape is checked.',
    args: [{ name: '<file>', text: 'file, or - for stdin' }],
    options: [
      nameOption,
      { flags: '--offline', text: 'check the shape only, without a server' },
      { flags: '--strict', text: 'a warning fails too' },
      { flags: '--json', text: 'the same as -o json' },
    ],
    examples: [
      ['weir lint hello.yaml', 'by the server'],
      ['weir lint hello.yaml --offline --json', 'in an editor or a hook'],
    ],
    isRemote: true,
    formats: ['table', 'json', 'yaml'],
    load: async () => (await import('../commands/lint.ts')).lint,
  },
  {
    name: 'pipeline',
    group,
    summary: 'Versions, pause and end of a pipeline',
    children: [
      actOn('versions', 'List the versions of a pipeline'),
      actOn('use', 'Make a published version the current one'),
      actOn('pause', 'Take jobs and dispatch none'),
      actOn('resume', 'Dispatch jobs again'),
      actOn('delete', 'Take no new jobs; what is queued or running ends', [yesOption]),
    ],
  },
]
