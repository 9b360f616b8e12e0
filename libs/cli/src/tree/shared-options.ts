import type { OptionSpec } from './spec.ts'

export const fileOption: OptionSpec = {
  flags: '-f, --file <path>',
  text: 'file, folder of .yaml and .json files, or - for stdin; may be repeated',
  isList: true,
}

export const nameOption: OptionSpec = {
  flags: '--name <name>',
  text: 'name of the pipeline; else that of its file',
  completes: 'pipelines',
}

export const waitStatusOption: OptionSpec = {
  flags: '--exit-status',
  text: 'exit with 1 where the job failed, 8 where it completed with failures',
}

export const saveKeyOption: OptionSpec = {
  flags: '--save-key <file>',
  text: 'write the key to a file that only you can read, and do not print it',
}

export const saveContextOption: OptionSpec = {
  flags: '--save-context <name>',
  text: 'keep address and key as a context, and do not print the key',
}

export const quotaOption: OptionSpec = {
  flags: '--quota <name=value>',
  text: 'a quota; may be repeated',
  isList: true,
}

export const pageOptions: readonly OptionSpec[] = [
  { flags: '--limit <n>', text: 'how many at most (50)' },
  { flags: '--cursor <cursor>', text: 'go on where the page before ended' },
]
