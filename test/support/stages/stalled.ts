import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** The stage `act` before a reader of its log that has stalled: it reads from SIGUSR2 on. */
const act = join(import.meta.dirname, 'act.ts')
const child = spawn(process.execPath, ['--import', '@weir/runtime/telemetry', act], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
process.on('SIGUSR2', () => child.stdout.pipe(process.stdout))
process.on('SIGTERM', () => child.kill('SIGTERM'))
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
