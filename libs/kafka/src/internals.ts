import { createRequire } from 'node:module'

/**
 * What this library takes out of the Kafka client: connections, SASL, metadata, group membership and
 * the admin calls. Its fetch loop, producer and record codecs are not used: they cost several times
 * the CPU of ours, jump silently when an offset is out of range and retry without a deadline.
 * The version is pinned exactly, because these are not public entry points.
 */
const require = createRequire(import.meta.url)

export type WireRequest<T> = {
  request: {
    apiKey: number
    apiVersion: number
    apiName: string
    expectResponse?: () => boolean
    encode: () => EncodedBytes | Promise<EncodedBytes>
  }
  response: { decode: (payload: Buffer) => T; parse: (decoded: T) => T }
  requestTimeout?: number
  logResponseError?: boolean
}

/** The client's encoder accepts anything with these two members. */
export type EncodedBytes = { readonly buf: Buffer; readonly buffer: Buffer }

export type ConnectionPool = {
  host: string
  port: number
  pool: { requestQueue: { rejectAll(error: Error): void } }[]
  send<T>(request: WireRequest<T>): Promise<T>
}

export type GroupOffsets = {
  topic: string
  partitions: { partition: number; offset: string; metadata?: string | null }[]
}

export type Broker = {
  nodeId: string | number
  connectionPool: ConnectionPool
  isConnected(): boolean
  disconnect(): Promise<void>
  heartbeat(request: {
    groupId: string
    memberId: string
    groupGenerationId: number
  }): Promise<unknown>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(request: {
    groupId: string
    memberId: string
    groupGenerationId: number
    topics: GroupOffsets[]
  }): Promise<unknown>
  offsetFetch(request: {
    groupId: string
    topics: { topic: string; partitions: { partition: number }[] }[]
  }): Promise<{ responses: GroupOffsets[] }>
  listOffsets(request: {
    replicaId: number
    isolationLevel: number
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[]
  }): Promise<{
    responses: { topic: string; partitions: { partition: number; offset: string }[] }[]
  }>
}

export type PartitionMetadata = { partitionId: number; leader: number }

export type Cluster = {
  targetTopics: Set<string>
  brokerPool: {
    brokers: Record<string, Broker>
    seedBroker?: Broker
    metadataExpireAt: number | null
  }
  connect(): Promise<void>
  disconnect(): Promise<void>
  isConnected(): boolean
  metadata(options?: { topics?: string[] }): Promise<{
    topicMetadata: { topic: string; partitionMetadata: PartitionMetadata[] }[]
  }>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  addMultipleTargetTopics(topics: string[]): Promise<void>
  findTopicPartitionMetadata(topic: string): PartitionMetadata[]
  findBroker(options: { nodeId: string | number }): Promise<Broker>
  findGroupCoordinator(options: { groupId: string }): Promise<Broker>
  removeBroker(options: { host: string; port: number }): void
}

export type ConsumerGroup = {
  groupId: string
  memberId: string | null
  generationId: number | null
  /** Name of the assigner that the group has agreed on. */
  groupProtocol: string | null
  coordinator: Broker | null
  connect(): Promise<void>
  joinAndSync(): Promise<void>
  leave(): Promise<void>
  assigned(): { topic: string; partitions: number[] }[]
  checkForStaleAssignment(): void
}

export type ClientLogger = { namespace(name: string): ClientLogger }

/** An ACL in the numbers of the protocol. */
export type ClientAcl = {
  resourceType: number
  resourceName: string
  resourcePatternType: number
  principal: string
  host: string
  operation: number
  permissionType: number
}

export type ClientAdmin = {
  createTopics(options: {
    topics: {
      topic: string
      numPartitions: number
      replicationFactor: number
      configEntries: { name: string; value: string }[]
    }[]
    timeout?: number
    waitForLeaders?: boolean
  }): Promise<boolean>
  createPartitions(options: {
    topicPartitions: { topic: string; count: number }[]
    timeout?: number
  }): Promise<void>
  deleteTopics(options: { topics: string[]; timeout?: number }): Promise<void>
  deleteGroups(groupIds: string[]): Promise<unknown>
  createAcls(options: { acl: ClientAcl[] }): Promise<boolean>
  describeAcls(filter: Partial<ClientAcl>): Promise<{
    resources: (Pick<ClientAcl, 'resourceType' | 'resourceName'> & {
      resourcePatternType: number
      acls: Pick<ClientAcl, 'principal' | 'host' | 'operation' | 'permissionType'>[]
    })[]
  }>
  deleteTopicRecords(options: {
    topic: string
    partitions: { partition: number; offset: string }[]
  }): Promise<void>
}

/** An error as the client throws it: `type` is the protocol's name of the code. */
export type ClientError = Error & {
  type?: string
  code?: string | number
  retriable?: boolean
  host?: string
  port?: number
  cause?: unknown
  errors?: ClientError[]
}

type LogEntry = { namespace: string; level: number; log: Record<string, unknown> }

export const Cluster = require('kafkajs/src/cluster') as new (options: object) => Cluster
export const ConsumerGroup = require('kafkajs/src/consumer/consumerGroup') as new (
  options: object,
) => ConsumerGroup
export const RequestQueue = require('kafkajs/src/network/requestQueue') as {
  prototype: Record<string, unknown>
}
export const Connection = require('kafkajs/src/network/connection') as {
  prototype: Record<string, unknown>
}
export const createSocketFactory = require('kafkajs/src/network/socketFactory') as () => unknown
export const createClientAdmin = require('kafkajs/src/admin') as (options: object) => ClientAdmin
export const roundRobin = require('kafkajs/src/consumer/assigners/roundRobinAssigner') as (
  options: object,
) => object
export const { MemberMetadata, MemberAssignment } =
  require('kafkajs/src/consumer/assignerProtocol') as {
    MemberMetadata: {
      encode(of: { version: number; topics: readonly string[]; userData: Buffer }): Buffer
      decode(bytes: Buffer): { version: number; topics: string[]; userData: Buffer | null }
    }
    MemberAssignment: {
      encode(of: { version: number; assignment: Record<string, readonly number[]> }): Buffer
    }
  }
export const InstrumentationEmitter = require('kafkajs/src/instrumentation/emitter') as new () => {
  addListener(event: string, listener: (event: unknown) => void): () => void
}
export const { createLogger, LEVELS } = require('kafkajs/src/loggers') as {
  createLogger(options: {
    level: number
    logCreator: () => (entry: LogEntry) => void
  }): ClientLogger
  LEVELS: { NOTHING: number; ERROR: number; WARN: number; INFO: number; DEBUG: number }
}
export const { createErrorFromCode } = require('kafkajs/src/protocol/error') as {
  createErrorFromCode(code: number): ClientError
}
