import { spawn } from 'node:child_process'
import { homeMarker } from './leftovers.ts'

export type ParentGuard = { release(): void }

// Reads until the pipe ends, which it does when the parent is gone in whatever way, SIGKILL too.
const script =
  'cat >/dev/null; for pid in "$@"; do ' +
  'grep -qzxF "$MARKER" "/proc/$pid/environ" 2>/dev/null && kill -INT "$pid"; done'

/** Sees to it that these processes of a home do not outlive this process. */
export function guardAgainstOwnDeath(home: string, pids: readonly number[]): ParentGuard {
  const guard = spawn('sh', ['-c', script, 'weir-guard', ...pids.map(String)], {
    cwd: '/',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', MARKER: `${homeMarker}=${home}` },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  guard.on('error', () => {})
  guard.stdin.on('error', () => {})
  guard.unref()
  return { release: () => guard.kill('SIGKILL') }
}
