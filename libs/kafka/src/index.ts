export type { Acl } from './acl.ts'
export { type Admin, createAdmin } from './admin.ts'
export { connectKafka, type Kafka, type KafkaConfig } from './connect.ts'
export {
  type AssignedPartition,
  type CommitResult,
  type Consumer,
  createConsumer,
  type OffsetToCommit,
} from './consumer.ts'
export { KafkaError } from './errors.ts'
export type { CommittedOffset } from './group-offsets.ts'
export type { PartitionOffset } from './offsets.ts'
export { partitionFor } from './partitioner.ts'
export { createProducer, type Producer } from './producer.ts'
export { createReader, type Reader } from './reader.ts'
export type { KafkaRecord, OutRecord, TopicPartition } from './record.ts'
