/** A record as it was read. `value` is a view into the response it came in: copy what is kept long. */
export type KafkaRecord = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since the epoch; on Weir's topics the broker's append time. */
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  /** Values as UTF-8; of a header that is given twice the first counts. */
  readonly headers: Readonly<Record<string, string>>
}

/** A record to send; without `partition` the key decides by murmur2. */
export type OutRecord = {
  readonly topic: string
  readonly partition?: number
  readonly key: Buffer | string | null
  readonly value: Buffer | string | null
  readonly headers?: Readonly<Record<string, string | Buffer>>
  /** Milliseconds since the epoch; topics with append time ignore it. */
  readonly timestamp?: number
}

export type TopicPartition = { readonly topic: string; readonly partition: number }
