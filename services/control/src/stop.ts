import type { Control } from './control.ts'
import type { App } from './http/type-provider.ts'

/** What is being answered when the stop begins has this long; it is inside of the service's grace. */
const DRAIN_MS = 3_000

/**
 * Stops in the order that loses nothing: waits and streams end, requests under way are answered, and
 * only then go the database and Kafka. A connection on which a client has never said anything is not
 * idle to the server, which would wait a minute for its first request: it is closed with the rest.
 */
export async function stopControl(app: App, control: Control): Promise<void> {
  control.close()
  const closed = app.close()
  const timer = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
  try {
    await closed
  } finally {
    clearTimeout(timer)
  }
  await control.stop()
}
