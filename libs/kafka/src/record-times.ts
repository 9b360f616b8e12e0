import { type Broker, type Cluster, createErrorFromCode, type WireRequest } from './internals.ts'
import type { PartitionOffset } from './offsets.ts'
import { decodeFetch, type FetchResponse } from './wire/decode-fetch.ts'
import { encodeFetch, FETCH } from './wire/encode-fetch.ts'

export type RecordTime = PartitionOffset & {
  /** Null where the log has no record at or after the offset. */
  readonly timestamp: number | null
}

/** The broker sends the first batch whole, however small this is. */
const ONE_BATCH = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, maxBytesPerPartition: 1 }

/** The times of single records, one request each: for the few whose time is known no other way. */
export async function fetchRecordTimes(
  cluster: Cluster,
  records: readonly PartitionOffset[],
): Promise<RecordTime[]> {
  const times: RecordTime[] = []
  for (const record of records) {
    const { topic, partition, offset } = record
    const found = cluster
      .findTopicPartitionMetadata(topic)
      .find(({ partitionId }) => partitionId === partition)
    if (found === undefined) throw new Error(`no leader is known for ${topic}/${partition}`)
    const broker = await cluster.findBroker({ nodeId: found.leader })
    const { errorCode, partitions } = await sendFetch(broker, record)
    const code = errorCode || (partitions[0]?.errorCode ?? 0)
    if (code !== 0) throw createErrorFromCode(code)
    const first = partitions[0]?.records[0]
    times.push({ topic, partition, offset, timestamp: first?.timestamp ?? null })
  }
  return times
}

function sendFetch(broker: Broker, target: PartitionOffset): Promise<FetchResponse> {
  const request: WireRequest<FetchResponse> = {
    request: { ...FETCH, encode: () => encodeFetch([target], ONE_BATCH) },
    response: {
      decode: (payload) => decodeFetch(payload, () => target.offset),
      parse: (decoded) => decoded,
    },
  }
  return broker.connectionPool.send(request)
}
