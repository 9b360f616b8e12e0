import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findFreePort } from '../../deploy/local/ports.ts'
import { type Client, createClient } from '../support/api-client.ts'
import { findMissingContainers } from '../support/container-engine.ts'
import { KAFKA_IMAGE, POSTGRES_IMAGE } from '../support/containers.ts'
import { type Compose, createCompose } from './compose.ts'
import { type Exits, followExits } from './exits.ts'

export const JAEGER_IMAGE = 'jaegertracing/jaeger:2.13.0'

const BUILD_AND_START_MS = 1_500_000
const START_S = 600
const STOP_MS = 180_000

/** Why these suites cannot run here, or false. */
export const skip = (await findMissingContainers([KAFKA_IMAGE, POSTGRES_IMAGE])) ?? false

/** Why there is no Jaeger to look at, or false: nothing else needs it. */
export const skipJaeger =
  skip || ((await findMissingContainers([JAEGER_IMAGE], 'REQUIRE_JAEGER')) ?? false)

export type Installation = {
  readonly compose: Compose
  readonly exits: Exits
  /** Address of the API. */
  readonly base: string
  readonly operator: Client
  /** A tenant's administrator, with the demo's pipelines. */
  readonly client: Client
  stop(): Promise<void>
}

/**
 * Builds the images and starts a compose project of its own: all of it, or the services that are
 * named with all that they need. `env` is read by the compose file.
 */
export async function startInstallation(
  options: {
    readonly services?: readonly string[]
    readonly env?: Readonly<Record<string, string>>
    /** Compose files of the suite's own. */
    readonly files?: readonly string[]
  } = {},
): Promise<Installation> {
  const compose = createCompose({
    project: `weir-test-${process.pid}`,
    env: {
      WEIR_PORT: String(await findFreePort()),
      WEIR_KAFKA_PORT: String(await findFreePort()),
      WEIR_JAEGER_PORT: String(await findFreePort()),
      WEIR_DEMO_RECEIVER: 'http://receiver:8080/',
      ...options.env,
    },
    files: [
      'test/containers/receiver.yml',
      ...(options.files ?? []),
      ...(skipJaeger ? ['test/containers/without-jaeger.yml'] : []),
    ],
  })
  const exits = followExits(compose.project)
  const stop = async () => {
    exits.stop()
    await compose.compose(['down', '--volumes', '--timeout', '5'], STOP_MS)
  }
  try {
    const services = options.services === undefined ? [] : [...options.services, 'receiver']
    const up = ['up', '--detach', '--build', '--wait', '--wait-timeout', String(START_S)]
    await compose.compose([...up, ...services], BUILD_AND_START_MS)
    const base = await compose.address('control', 8080)
    const operatorKey = await compose.compose([
      ...['exec', '-T', 'control', 'cat', '/secrets/control/operator-key'],
    ])
    const operator = createClient(base, operatorKey)
    const quotas = { submitRatePerSecond: 10_000, submitBurst: 10_000 }
    const { adminKey } = await operator.call<{ adminKey: string }>('POST', '/v1/tenants', {
      body: { name: 'containers', quotas },
    })
    const client = createClient(base, adminKey)
    for (const name of ['hello', 'delays']) await publish(client, name)
    return { compose, exits, base, operator, client, stop }
  } catch (error) {
    const logs = await compose.compose(['logs', '--no-color', '--tail', '20']).catch(String)
    process.stderr.write(`${logs}\n`)
    await stop()
    throw error
  }
}

async function publish(client: Client, name: string): Promise<void> {
  const file = join(import.meta.dirname, `../../services/stages/pipelines/${name}.yaml`)
  const text = { type: 'application/yaml', body: readFileSync(file, 'utf8') }
  await client.call('PUT', `/v1/pipelines/${name}`, { text })
}
