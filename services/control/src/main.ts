import { readConfig, runService } from '@weir/runtime'
import { buildApp } from './app.ts'
import { controlSettings } from './config.ts'
import { createControl } from './control.ts'
import { stopControl } from './stop.ts'

await runService('control', async ({ log, health, fail }) => {
  const config = readConfig(controlSettings)
  const control = createControl(config, log, fail)
  health.add(...control.checks)
  const app = await buildApp(control)
  // Alive before it is ready: a database that is slow to come must not look like a dead process.
  await app.listen({ host: config.httpHost, port: config.httpPort })
  await control.start()
  return { stop: () => stopControl(app, control) }
})
