import type { Job } from './api.ts'

type Row = { stage: string; tasks: number; waitMs: number[]; workMs: number[] }

/**
 * A line per stage: its tasks over all jobs, and the times of a task. A job reports sums over the
 * elements of a fan-out: of them the mean of those that ran counts, for each job.
 */
export function formatStages(jobs: readonly Job[]): string {
  const rows = new Map<string, Row>()
  for (const { steps } of jobs) {
    for (const { stage, items, waitMs, workMs } of Object.values(steps)) {
      const row = rows.get(stage) ?? { stage, tasks: 0, waitMs: [], workMs: [] }
      rows.set(stage, row)
      row.tasks += items?.total ?? 1
      const ran = items === undefined ? 1 : items.completed + items.failed
      if (ran === 0) continue
      if (typeof waitMs === 'number') row.waitMs.push(waitMs / ran)
      if (typeof workMs === 'number') row.workMs.push(workMs / ran)
    }
  }
  const lines = [...rows.values()].map((row) => [
    row.stage,
    String(row.tasks),
    ...quantiles(row.waitMs),
    ...quantiles(row.workMs),
  ])
  const header = ['stage', 'tasks', 'wait p50', 'p95 ms', 'work p50', 'p95 ms']
  return formatTable([header, ...lines])
}

function quantiles(values: readonly number[]): [string, string] {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]?.toFixed(1) ?? '–'
  return [at(0.5), at(0.95)]
}

/** Columns of equal width, the first to the left, the others to the right. */
function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? []
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}
