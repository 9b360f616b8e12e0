import type { KafkaRecord } from '@weir/kafka'

/** Records of a partition that wait to be folded, in offset order, with the bytes they hold. */
export type RecordQueue = {
  readonly length: number
  readonly bytes: number
  push(records: readonly KafkaRecord[]): void
  peek(): KafkaRecord | undefined
  shift(): void
  clear(): void
}

/** Headers and objects of a record, roughly. */
const OVERHEAD_BYTES = 512

const sizeOf = (record: KafkaRecord) => (record.value?.length ?? 0) + OVERHEAD_BYTES

export function createRecordQueue(): RecordQueue {
  let records: KafkaRecord[] = []
  let head = 0
  let bytes = 0

  return {
    get length() {
      return records.length - head
    },
    get bytes() {
      return bytes
    },
    push(more) {
      for (const record of more) {
        records.push(record)
        bytes += sizeOf(record)
      }
    },
    peek: () => records[head],
    shift() {
      bytes -= sizeOf(records[head] as KafkaRecord)
      head += 1
      if (head === records.length) {
        records = []
        head = 0
      } else if (head >= 1024 && head * 2 >= records.length) {
        records = records.slice(head)
        head = 0
      }
    },
    clear() {
      records = []
      head = 0
      bytes = 0
    },
  }
}
