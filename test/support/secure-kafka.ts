import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectKafka, createAdmin, type KafkaConfig } from '@weir/kafka'
import { prepareKafka } from '../../deploy/local/kafka.ts'
import { findFreePort } from '../../deploy/local/ports.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'
import type { Authority } from './certificates.ts'

export type SecureKafka = {
  /** `localhost:port`: the name that is in the broker's certificate. */
  readonly brokers: string
  readonly port: number
  /** How a user connects that is told of the authority. */
  as(username: string): KafkaConfig & { readonly brokers: readonly string[] }
  stop(): Promise<void>
}

export type SecureKafkaOptions = {
  readonly home: string
  readonly authority: Authority
  /** Password by user; `operator` may do everything. */
  readonly users: Readonly<Record<string, string>>
}

const STOP_MS = 20_000
/** A busy machine takes its time for the first handshakes. */
const READY_MS = 300_000
const MECHANISM = 'SCRAM-SHA-512'

/**
 * A broker as a managed one is: TLS and SASL on its only listener, and an authorizer that refuses
 * whatever no ACL allows. Its users are made with its storage.
 */
export async function startSecureKafka(options: SecureKafkaOptions): Promise<SecureKafka> {
  const { home, authority, users } = options
  mkdirSync(home, { recursive: true })
  const server = authority.issue('broker', ['localhost'])
  const store = join(home, 'broker.pem')
  const trust = join(home, 'ca.pem')
  writeFileSync(store, server.key + server.cert, { mode: 0o600 })
  writeFileSync(trust, authority.ca)
  const port = await findFreePort()
  const controllerPort = await findFreePort()
  const password = users.operator as string
  const module = 'org.apache.kafka.common.security'
  const login = `required username="operator" password="${password}"`
  const { spec } = await prepareKafka({
    home,
    port,
    controllerPort,
    progress: () => {},
    settings: {
      listeners: `CLIENT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `CLIENT://localhost:${port}`,
      'controller.quorum.voters': `1@localhost:${controllerPort}`,
      'listener.security.protocol.map': 'CLIENT:SASL_SSL,CONTROLLER:SASL_SSL',
      'inter.broker.listener.name': 'CLIENT',
      'sasl.mechanism.inter.broker.protocol': MECHANISM,
      // The controllers cannot look SCRAM users up before they have a quorum.
      'sasl.mechanism.controller.protocol': 'PLAIN',
      'listener.name.controller.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.controller.plain.sasl.jaas.config': `${module}.plain.PlainLoginModule ${login} user_operator="${password}";`,
      'listener.name.client.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN',
      'listener.name.client.scram-sha-512.sasl.jaas.config': `${module}.scram.ScramLoginModule ${login};`,
      'listener.name.client.scram-sha-256.sasl.jaas.config': `${module}.scram.ScramLoginModule ${login};`,
      'listener.name.client.plain.sasl.jaas.config': `${module}.plain.PlainLoginModule ${login} user_operator="${password}";`,
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': store,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': trust,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:operator',
      'allow.everyone.if.no.acl.found': 'false',
      // It is not killed here, so nobody waits for its end.
      'broker.session.timeout.ms': '9000',
      'broker.heartbeat.interval.ms': '2000',
    },
    formatOptions: Object.entries(users).flatMap(([name, secret]) =>
      [MECHANISM, 'SCRAM-SHA-256'].flatMap((mechanism) => [
        '--add-scram',
        `${mechanism}=[name=${name},password=${secret}]`,
      ]),
    ),
  })
  const brokers = `localhost:${port}`
  const as = (username: string) => ({
    brokers: [brokers],
    clientId: `test-${username}`,
    ssl: { rejectUnauthorized: true as const, ca: authority.ca },
    sasl: {
      mechanism: 'scram-sha-512' as const,
      username,
      password: users[username] as string,
    },
  })
  const isReady = async () => {
    const admin = createAdmin({ kafka: connectKafka(as('operator')) })
    try {
      await admin.partitionCounts([])
      return true
    } finally {
      await admin.disconnect()
    }
  }
  const supervisor = createSupervisor({ home })
  const stop = () => supervisor.stopAll(STOP_MS)
  try {
    await supervisor.add({ ...spec, isReady, readyTimeoutMs: READY_MS, restart: false })
  } catch (error) {
    await stop()
    throw error
  }
  return { brokers, port, as, stop }
}
