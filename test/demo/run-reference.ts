import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

/**
 * The lines that the independent program prints, in a process of its own: for the demo's flights, or
 * for those of another file.
 */
export async function runReference(flightsFile?: string): Promise<readonly string[]> {
  const program = join(import.meta.dirname, 'reference.ts')
  const args = flightsFile === undefined ? [program] : [program, flightsFile]
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 })
  return stdout.trimEnd().split('\n')
}
