export type { Acl } from './acl.ts'
export { type Admin, createAdmin, type NewTopic } from './admin.ts'
export {
  connectKafka,
  type Kafka,
  type KafkaConfig,
  type KafkaLog,
  type KafkaSasl,
} from './connect.ts'
export {
  type AssignedPartition,
  type CommitResult,
  type Consumer,
  type ConsumerOptions,
  createConsumer,
  type OffsetToCommit,
} from './consumer.ts'
export { KafkaError, type KafkaErrorCode } from './errors.ts'
export type { CommittedOffset } from './group-offsets.ts'
export type { PartitionOffset } from './offsets.ts'
export { partitionFor } from './partitioner.ts'
export { createProducer, type Producer, type ProducerOptions } from './producer.ts'
export { createReader, type Reader, type ReaderOptions } from './reader.ts'
export type { KafkaRecord, OutRecord, TopicPartition } from './record.ts'
export type { RecordTime } from './record-times.ts'
export type { GroupPartitions } from './wire/offset-fetch.ts'
