import { readConfig } from './config.ts'
import { createLogger } from './logger.ts'
import type { Loss } from './loss-tally.ts'
import { logSettings, telemetrySettings } from './shared-settings.ts'
import type { TelemetryStats } from './telemetry-sdk.ts'

/**
 * Preloaded with `node --import @weir/runtime/telemetry`. Without WEIR_OTLP_URL nothing is loaded:
 * code that makes spans then gets the API's empty ones, and trace contexts still pass through.
 */
type Sdk = { shutdown(): Promise<void>; stats(): TelemetryStats }

const SHUTDOWN_CAP_MS = 3000

const config = readConfig(telemetrySettings)
let sdk: Sdk | undefined
if (config.otlpUrl !== undefined) {
  const { startTelemetry } = await import('./telemetry-sdk.ts')
  sdk = startTelemetry({ ...config, otlpUrl: config.otlpUrl, onLoss: tellLoss })
}

function tellLoss(loss: Loss): void {
  // Read this late because a wrong level is for the process itself to tell, with its other faults.
  const { logLevel } = readConfig(logSettings)
  const log = createLogger({ service: config.serviceName, level: logLevel })
  log.warn({ signal: 'traces', ...loss }, 'spans were lost')
}

/** What has become of the spans of this process. */
export function telemetryStats(): TelemetryStats {
  return sdk?.stats() ?? { exported: 0, failed: 0, dropped: 0, queued: 0, exporting: 0 }
}

/** Exports what is queued, for at most 3 s: an absent collector would hold the process for ten. */
export async function shutdownTelemetry(): Promise<void> {
  const stopping = sdk
  sdk = undefined
  if (stopping === undefined) return
  let timer: NodeJS.Timeout | undefined
  const cap = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, SHUTDOWN_CAP_MS)
  })
  await Promise.race([stopping.shutdown().catch(() => {}), cap])
  clearTimeout(timer)
}

export type { TelemetryStats }
