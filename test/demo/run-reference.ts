import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The lines that the independent program prints, in a process of its own. */
export async function runReference(): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'reference.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: 60_000 })
  return stdout.trimEnd().split('\n')
}
