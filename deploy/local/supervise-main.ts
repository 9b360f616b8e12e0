// The background process of `up`: runs the installation, and tells `up` how the start goes for as
// long as it listens. Its own standard error is <home>/logs/supervisor.log.
import { createSupervisorLog } from './logs.ts'
import { serve } from './serve.ts'
import type { SuperviseMessage } from './supervise-message.ts'
import { parseUpOptions } from './up-options.ts'

const tell = (message: SuperviseMessage): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}

// `up` may be gone at any moment; that must not end the installation.
process.on('disconnect', () => {})

try {
  const options = parseUpOptions(process.argv.slice(2), process.env)
  const log = createSupervisorLog(options.home, false)
  await serve({
    ...options,
    log,
    progress: (line) => {
      log(line)
      tell({ progress: line })
    },
    onReady: () => {
      tell({ isReady: true })
      if (process.connected) process.disconnect()
    },
  })
} catch (error) {
  const { code = 'unexpected', message, stack } = error as Error & { code?: string }
  console.error(stack)
  tell({ failure: { code, message } })
  process.exitCode = 1
}
if (process.connected) process.disconnect()
