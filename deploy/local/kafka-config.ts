const mib = 1024 * 1024

export type KafkaConfigOptions = {
  readonly port: number
  readonly controllerPort: number
  readonly dataDir: string
  /** Beside, or instead of, what is said here. */
  readonly settings?: Readonly<Record<string, string>>
}

/** server.properties of a single KRaft node on loopback, sized for a laptop. */
export function writeKafkaConfig(options: KafkaConfigOptions): string {
  const { port, controllerPort, dataDir } = options
  const broker = `PLAINTEXT://127.0.0.1:${port}`
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `${broker},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': broker,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': dataDir,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'background.threads': 2,
    'num.recovery.threads.per.data.dir': 2,
    'log.cleaner.threads': 1,
    'log.cleaner.dedupe.buffer.size': 16 * mib,
    'log.segment.bytes': 64 * mib,
    'log.index.size.max.bytes': mib,
    'log.message.timestamp.type': 'LogAppendTime',
    'auto.create.topics.enable': false,
    // Above the largest limit of a topic, 10 MiB.
    'message.max.bytes': 11 * mib,
    'replica.fetch.max.bytes': 11 * mib,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 4,
    'group.initial.rebalance.delay.ms': 0,
    'group.coordinator.append.linger.ms': 0,
    'group.min.session.timeout.ms': 1000,
    // After a kill -9 the old registration has to expire first: 2.8 s instead of 11.5 s.
    'broker.session.timeout.ms': 1500,
    'broker.heartbeat.interval.ms': 500,
    // Every half second, the default, a record that says nothing is written and flushed: with the
    // heartbeats at 300 ms that was a third of what an idle broker used.
    'metadata.max.idle.interval.ms': 10_000,
    ...options.settings,
  }
  return `${Object.entries(settings)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n`
}
