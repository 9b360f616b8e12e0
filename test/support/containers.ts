import { randomBytes } from 'node:crypto'
import type { StartedTestContainer } from 'testcontainers'
import { writeKafkaConfig } from '../../deploy/local/kafka-config.ts'
import { isKafkaReady } from '../../deploy/local/kafka-ready.ts'
import { hasImage } from './container-engine.ts'
import { until } from './until.ts'

export const KAFKA_IMAGE = 'apache/kafka:4.3.1'
export const POSTGRES_IMAGE = 'postgres:17'
const RYUK_IMAGE = 'testcontainers/ryuk:0.14.0'

const START_MS = 120_000
const BROKER_PORT = 9092
const CONTROLLER_PORT = 9093
const STARTER = '/tmp/start-broker'

export type Containers = {
  readonly kafka: { readonly brokers: string }
  readonly postgres: { readonly url: string }
  stop(): Promise<void>
}

/** Kafka and Postgres for a run of the suites, as containers of their official images. */
export async function startContainers(): Promise<Containers> {
  // Ryuk removes what a killed run leaves behind; where it cannot be had, `stop` alone has to do.
  if (!(await hasImage(RYUK_IMAGE))) process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  const starts = await Promise.allSettled([startKafka(), startPostgres()])
  const onSignal = () => void stop().finally(() => process.exit(1))
  let stopping: Promise<unknown> | undefined
  const stop = async () => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    const started = starts.filter((start) => start.status === 'fulfilled')
    stopping ??= Promise.all(
      started.map(({ value }) => value.container.stop({ removeVolumes: true })),
    )
    await stopping
  }
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal)
  const [kafka, postgres] = starts
  if (kafka.status === 'fulfilled' && postgres.status === 'fulfilled')
    return { kafka: kafka.value, postgres: postgres.value, stop }
  await stop()
  throw kafka.status === 'rejected' ? kafka.reason : (postgres as PromiseRejectedResult).reason
}

/**
 * One KRaft node with the settings of the local launcher. Which port of the host is its own is known
 * only once the container runs, and the broker has to advertise that port: so the container waits
 * for the script that starts the broker.
 */
async function startKafka(): Promise<{ container: StartedTestContainer; brokers: string }> {
  const { GenericContainer } = await import('testcontainers')
  const container = await new GenericContainer(KAFKA_IMAGE)
    .withEnvironment({ ...brokerEnv(), KAFKA_HEAP_OPTS: '-Xms512m -Xmx512m' })
    .withExposedPorts(BROKER_PORT)
    .withEntrypoint(['bash', '-c'])
    .withCommand([`until [ -f ${STARTER} ]; do sleep 0.1; done; exec bash ${STARTER}`])
    .withWaitStrategy(await untilRunning())
    .withStartupTimeout(START_MS)
    .start()
  try {
    const port = container.getMappedPort(BROKER_PORT)
    const brokers = `${container.getHost()}:${port}`
    const advertised = `export KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://${brokers}`
    const content = `${advertised}\nexec /etc/kafka/docker/run\n`
    // Moved into its place whole: the container looks for it while it is being written.
    await container.copyContentToContainer([{ content, target: `${STARTER}.part` }])
    await container.exec(['mv', `${STARTER}.part`, STARTER])
    await until('the broker to answer', () => isKafkaReady(port), START_MS)
    return { container, brokers }
  } catch (error) {
    await container.stop({ removeVolumes: true })
    throw error
  }
}

async function untilRunning() {
  const { Wait } = await import('testcontainers')
  return Wait.forSuccessfulCommand('true')
}

/** The settings of the local broker, under the names that the image takes them by. */
function brokerEnv(): Record<string, string> {
  const settings = writeKafkaConfig({
    port: BROKER_PORT,
    controllerPort: CONTROLLER_PORT,
    dataDir: '/var/lib/kafka/data',
  })
  const pairs = settings
    .trim()
    .split('\n')
    .map((line) => {
      const at = line.indexOf('=')
      const name = line.slice(0, at).toUpperCase().replaceAll('.', '_')
      return [`KAFKA_${name}`, line.slice(at + 1)]
    })
  return {
    ...Object.fromEntries(pairs),
    KAFKA_LISTENERS: `PLAINTEXT://0.0.0.0:${BROKER_PORT},CONTROLLER://127.0.0.1:${CONTROLLER_PORT}`,
  }
}

async function startPostgres(): Promise<{ container: StartedTestContainer; url: string }> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const password = randomBytes(16).toString('hex')
  const container = await new GenericContainer(POSTGRES_IMAGE)
    .withEnvironment({ POSTGRES_PASSWORD: password })
    .withCommand(['postgres', '-c', 'max_connections=80'])
    .withExposedPorts(5432)
    // Over TCP: while the image prepares a new database it listens on its socket only.
    .withWaitStrategy(Wait.forSuccessfulCommand('pg_isready -h 127.0.0.1 -U postgres'))
    .withStartupTimeout(START_MS)
    .start()
  const address = `${container.getHost()}:${container.getMappedPort(5432)}`
  return { container, url: `postgres://postgres:${password}@${address}/postgres` }
}
