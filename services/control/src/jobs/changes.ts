import type { ChangeRecord } from '@weir/contracts'

/** The jobs that a record of `weir.changes` tells of. */
export function readChange(value: Buffer | null): readonly string[] {
  if (value === null) return []
  try {
    const record = JSON.parse(value.toString()) as ChangeRecord
    return record.kind === 'runs' ? record.runs.map(({ job }) => job) : []
  } catch {
    // A hint: waiters look now and then anyway.
    return []
  }
}
