import type { Paint } from './paint.ts'
import { formatTable } from './table.ts'

/** Any list of records of the API as a table: the members that hold plain values are its columns. */
export function formatRecords(
  records: readonly Readonly<Record<string, unknown>>[],
  columns: readonly string[],
  paint: Paint,
): string {
  const names = columns.map((column) => column.replace(/([A-Z])/g, ' $1').toUpperCase())
  const rows = records.map((record) => columns.map((column) => toCell(record[column])))
  return formatTable(names, rows, paint)
}

/** One record, a member a line. */
export function formatRecord(record: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(record)
  const width = Math.max(...names.map((name) => name.length), 0)
  return names.map((name) => `${name.padEnd(width)}  ${toCell(record[name]) ?? '-'}`).join('\n')
}

function toCell(value: unknown): string | null {
  if (value === null || value === undefined) return null
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
