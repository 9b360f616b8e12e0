import type { Io } from '../io.ts'
import { colored, type Paint, plain } from './paint.ts'

export const FORMATS = ['table', 'json', 'yaml', 'name'] as const
export type Format = (typeof FORMATS)[number]

/** One result in all the forms it can be asked for. */
export type View = {
  readonly data: unknown
  /** For people; not a promise. */
  readonly table: (paint: Paint) => string
  readonly names: () => readonly string[]
}

export type Output = {
  readonly format: Format
  readonly paint: Paint
  /** Whether results go to a terminal that understands movements of its cursor. */
  readonly isLive: boolean
  readonly columns: number
  show(view: View): Promise<void>
  line(text: string): void
}

export function createOutput(io: Io, format: Format, wantsColor: boolean): Output {
  const { stdout, env } = io
  const isTerminal = stdout.isTTY === true && env.TERM !== 'dumb'
  const paint = isTerminal && wantsColor && !env.NO_COLOR ? colored : plain
  const line = (text: string): void => {
    if (text !== '') stdout.write(`${text}\n`)
  }
  return {
    format,
    paint,
    isLive: isTerminal && format === 'table',
    columns: stdout.columns ?? 80,
    line,
    async show({ data, table, names }) {
      if (format === 'json') line(JSON.stringify(data, null, 2))
      else if (format === 'yaml') line((await toYaml(data)).trimEnd())
      else if (format === 'name') line(names().join('\n'))
      else line(table(paint))
    },
  }
}

/** YAML without anchors, so that it reads as what it is. */
export async function toYaml(data: unknown): Promise<string> {
  const { stringify } = await import('yaml')
  return stringify(data, { aliasDuplicateObjects: false, lineWidth: 100 })
}
