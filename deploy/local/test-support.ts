import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { baseEnv } from './base-env.ts'
import { stopLeftovers } from './leftovers.ts'
import type { ProcessSpec } from './process-spec.ts'

const cleanups = new WeakMap<TestContext, (() => unknown)[]>()

/** Runs `cleanup` when the test has ended, what was registered last first, unlike `t.after`. */
export function afterTest(t: TestContext, cleanup: () => unknown): void {
  const known = cleanups.get(t)
  if (known) return void known.push(cleanup)
  const stack = [cleanup]
  cleanups.set(t, stack)
  t.after(async () => {
    for (const step of stack.reverse()) await step()
  })
}

/** A home of its own for a test, removed with whatever still runs there when the test has ended. */
export function makeTestHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'weir-local-'))
  afterTest(t, async () => {
    await stopLeftovers(home, 5_000)
    rmSync(home, { recursive: true, force: true })
  })
  return home
}

/** A process that runs the given lines of JavaScript. */
export function scriptSpec(
  name: string,
  script: string,
  more: Partial<ProcessSpec> = {},
): ProcessSpec {
  return {
    name,
    argv: [process.execPath, '--input-type=module', '-e', script],
    env: baseEnv(),
    cwd: '/',
    ...more,
  }
}

/** Whether the process is running; one that has ended and waits for its parent is not. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return false
  }
}
