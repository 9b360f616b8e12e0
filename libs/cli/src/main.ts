import { run } from './program.ts'

const interrupted = new AbortController()
process.on('SIGINT', () => {
  // The second time whoever waits does not want to wait for a tidy end.
  if (interrupted.signal.aborted) process.exit(130)
  interrupted.abort(new Error('interrupted'))
})
// `weir get jobs | head`: nobody reads any more, and that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1)
})

process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  signal: interrupted.signal,
})
