/** Writes docs/reference/cli.md; a test compares it with the commands. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeTree } from './reference.ts'

const root = join(import.meta.dirname, '..', '..', '..')
writeFileSync(join(root, 'docs', 'reference', 'cli.md'), `${describeTree()}\n`)
