import type { CommandSpec } from './spec.ts'

const group = 'This machine:'
const contexts = () => import('../commands/context.ts')
const context = { name: '<name>', text: 'name of the context', completes: 'contexts' } as const

export const localCommands: readonly CommandSpec[] = [
  {
    name: 'up',
    group,
    summary: 'Start Weir on this machine, from a checkout',
    more: 'Kafka, Postgres, the platform and the demo stages, in the background. Keeps address and operator key as the context `local`.',
    options: [
      { flags: '--port <port>', text: 'port of the API (8080, else a free one)' },
      { flags: '--only <names>', text: 'only some of its processes, with commas' },
      { flags: '--foreground', text: 'stay, and stop everything at Ctrl-C' },
    ],
    examples: [['weir up', 'start, then: weir context use local']],
    load: async () => (await import('../commands/up.ts')).up,
  },
  {
    name: 'down',
    group,
    summary: 'Stop what `weir up` has started; data and keys stay',
    load: async () => (await import('../commands/up.ts')).down,
  },
  {
    name: 'context',
    group,
    summary: 'Addresses and keys under names',
    children: [
      {
        name: 'list',
        summary: 'List contexts; keys are not shown',
        formats: ['table', 'json', 'yaml', 'name'],
        load: async () => (await contexts()).listContexts,
      },
      {
        name: 'use',
        summary: 'Make a context the current one',
        args: [context],
        load: async () => (await contexts()).useContext,
      },
      {
        name: 'set',
        summary: 'Add or change a context',
        more: 'The key is read from --key-file, from stdin with --key-stdin, or from WEIR_KEY.',
        args: [context],
        options: [
          { flags: '--api <url>', text: 'address of the API (WEIR_API)' },
          { flags: '--key-file <file>', text: 'file that holds the key' },
          { flags: '--key-stdin', text: 'read the key from stdin' },
          { flags: '--use', text: 'make it the current one' },
        ],
        examples: [
          ['weir context set prod --api https://weir.example.com --key-file prod.key --use', ''],
        ],
        load: async () => (await contexts()).setContext,
      },
      {
        name: 'remove',
        summary: 'Forget a context and its key',
        args: [context],
        load: async () => (await contexts()).removeContext,
      },
    ],
  },
  {
    name: 'completion',
    group,
    summary: 'Print a completion script for a shell',
    args: [{ name: '<shell>', text: 'the shell', choices: ['bash', 'zsh', 'fish'] }],
    examples: [
      ['source <(weir completion bash)', 'in ~/.bashrc'],
      ['weir completion fish | source', 'in config.fish'],
    ],
    load: async () => (await import('../commands/completion.ts')).completion,
  },
  {
    name: 'version',
    group,
    summary: 'Print the version',
    more: 'So does `weir --version`.',
    formats: ['table', 'json', 'yaml'],
    load: async () => (await import('../commands/version.ts')).version,
  },
  {
    name: '__complete',
    summary: 'Candidates for the last of the given words',
    isHidden: true,
    args: [{ name: '[words...]', text: 'the words after `weir`' }],
    load: async () => (await import('../commands/completion.ts')).complete,
  },
]
