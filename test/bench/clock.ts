/** CLOCK_MONOTONIC in milliseconds: one clock for every process of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
