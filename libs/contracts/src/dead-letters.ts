/**
 * `weir.dlq`, beside the headers of the message as it was received: why it was put aside, a sentence
 * for people, and where it was read (`topic/partition/offset`).
 */
export const DEAD_LETTER_HEADERS = {
  reason: 'weir-reason',
  detail: 'weir-detail',
  origin: 'weir-origin',
} as const
