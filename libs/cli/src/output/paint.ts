import { styleText } from 'node:util'
import type { Cell } from './table.ts'

export type Paint = (color: string, text: string) => string

export const plain: Paint = (_color, text) => text

export const colored: Paint = (color, text) =>
  styleText(color as Parameters<typeof styleText>[0], text, { validateStream: false })

const colors: Readonly<Record<string, string>> = {
  completed: 'green',
  completed_with_failures: 'yellow',
  failed: 'red',
  dropped: 'red',
  cancelled: 'yellow',
  cancelling: 'yellow',
  running: 'cyan',
  active: 'green',
  deactivated: 'yellow',
  terminating: 'yellow',
  open: 'green',
  throttled: 'yellow',
  closed: 'red',
  unknown: 'yellow',
  ok: 'green',
  warn: 'yellow',
  fail: 'red',
}

/** A state in its color. */
export function stateCell(state: string): Cell {
  const color = colors[state]
  return color === undefined ? state : { text: state, color }
}
