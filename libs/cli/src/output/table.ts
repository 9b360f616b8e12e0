import { type Paint, plain } from './paint.ts'

export type Cell =
  | string
  | number
  | null
  | undefined
  | { readonly text: string; readonly color: string }

/** What comes from outside must not steer the terminal. */
export function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}

/** Columns under their names, as wide as they need; the last one is not padded. */
export function formatTable(
  names: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint = plain,
): string {
  const texts = rows.map((row) => row.map(toText))
  const widths = names.map((name, at) =>
    Math.max(name.length, ...texts.map((row) => row[at]?.length ?? 0)),
  )
  const last = names.length - 1
  const pad = (text: string, at: number) => (at === last ? text : text.padEnd(widths[at] as number))
  const lines = texts.map((row, index) =>
    row
      .map((text, at) => {
        const cell = rows[index]?.[at]
        const color = typeof cell === 'object' && cell !== null ? cell.color : undefined
        const padded = pad(text, at)
        return color === undefined ? padded : paint(color, text) + padded.slice(text.length)
      })
      .join('  ')
      .trimEnd(),
  )
  return [paint('bold', names.map(pad).join('  ')), ...lines].join('\n')
}

function toText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-'
  return clean(typeof cell === 'object' ? cell.text : String(cell))
}
