import { createRequire } from 'node:module'
import type { EncodedBytes } from '../src/internals.ts'

/** The client's own codecs, which ours are compared with. */
const require = createRequire(import.meta.url)

type Encoder = EncodedBytes & {
  writeInt8(value: number): Encoder
  writeInt16(value: number): Encoder
  writeInt32(value: number): Encoder
  writeInt64(value: number | string): Encoder
  writeString(value: string | null): Encoder
  writeBytes(value: Buffer): Encoder
  writeBuffer(value: Buffer): Encoder
  writeArray(values: Encoder[]): Encoder
}

export type ClientRecord = {
  offset: string
  timestamp: string
  key: Buffer | null
  value: Buffer | null
  headers: Record<string, Buffer | Buffer[]>
}

export const Encoder = require('kafkajs/src/protocol/encoder') as new () => Encoder
export const Decoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
export const encodeRecord = require('kafkajs/src/protocol/recordBatch/record/v0') as (
  record: object,
) => Encoder
export const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch(options: object): Promise<Encoder>
}
export const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<{ records: ClientRecord[]; lastOffsetDelta: number }>
export const fetchResponse = require('kafkajs/src/protocol/requests/fetch/v11/response') as {
  decode(payload: Buffer): Promise<{
    responses: {
      topicName: string
      partitions: { partition: number; highWatermark: string; messages: ClientRecord[] }[]
    }[]
  }>
}
export const crc32c = require('kafkajs/src/protocol/recordBatch/crc32C') as (
  bytes: Buffer,
) => number
export const murmur2 = require('kafkajs/src/producer/partitioners/default/murmur2') as (
  key: Buffer,
) => number
export const defaultPartitioner = require('kafkajs').Partitioners.DefaultPartitioner() as (
  options: object,
) => number
export const clientFetchRequest = require('kafkajs/src/protocol/requests/fetch/v11/request') as (
  options: object,
) => { encode(): Promise<EncodedBytes> }

/** A Fetch v11 answer for one topic, around record sets as they stand in a log. */
export function encodeFetchAnswer(
  topic: string,
  partitions: readonly {
    partition: number
    errorCode?: number
    highWatermark: number
    recordSet: Buffer
  }[],
): Buffer {
  return new Encoder()
    .writeInt32(0)
    .writeInt16(0)
    .writeInt32(0)
    .writeArray([
      new Encoder()
        .writeString(topic)
        .writeArray(
          partitions.map(({ partition, errorCode = 0, highWatermark, recordSet }) =>
            new Encoder()
              .writeInt32(partition)
              .writeInt16(errorCode)
              .writeInt64(highWatermark)
              .writeInt64(highWatermark)
              .writeInt64(0)
              .writeInt32(-1)
              .writeInt32(-1)
              .writeBytes(recordSet),
          ),
        ),
    ]).buffer
}
