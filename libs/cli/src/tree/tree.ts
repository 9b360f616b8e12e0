import { installationCommands } from './installation.ts'
import { jobCommands } from './jobs.ts'
import { localCommands } from './local.ts'
import { pipelineCommands } from './pipelines.ts'
import type { CommandSpec } from './spec.ts'

/** All commands, in the order in which help shows them. */
export const tree: readonly CommandSpec[] = [
  ...jobCommands,
  ...pipelineCommands,
  ...installationCommands,
  ...localCommands,
]
