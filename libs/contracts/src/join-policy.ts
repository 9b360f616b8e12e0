/** When a step with several inputs fires (design: joins' policies). */
export type JoinPolicy = {
  readonly policy: 'all' | 'any' | 'quorum'
  /** How many data messages; 1 for `any`, the quorum for `quorum`, 0 for `all`. */
  readonly n: number
  readonly timeoutMs: number | null
  readonly onTimeout: 'fail' | 'partial'
  /** What is counted: the edges, or the items of the only edge, a gather. */
  readonly unit: 'edges' | 'items'
}
