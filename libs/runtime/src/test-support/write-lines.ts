import { createLogger, drainLogs, droppedLogLines } from '../logger.ts'

/**
 * A process that writes as many lines as its parent says, when it says so, and tells how many of its
 * lines were dropped so far.
 */
const log = createLogger({ service: 'writer' })
let n = 0

process.on('message', async (told: { write: number } | 'end') => {
  if (told === 'end') {
    await drainLogs()
    process.disconnect()
    return
  }
  for (let left = told.write; left > 0; left -= 1) {
    n += 1
    log.info({ n, text: 'x'.repeat(200) }, 'a line')
  }
  process.send?.({ dropped: droppedLogLines() })
})
process.send?.({ dropped: 0 })
