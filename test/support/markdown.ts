/** A fenced block of a document: ` ```sh status=5 ` has the language `sh` and the words after it. */
export type Block = {
  readonly language: string
  readonly words: readonly string[]
  readonly text: string
  /** The line at which it begins, for messages. */
  readonly line: number
}

/** The fenced blocks of a document in their order. */
export function readBlocks(markdown: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { language: string; words: string[]; line: number; lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open !== undefined && line === '```') {
      const { language, words, lines, line: from } = open
      blocks.push({ language, words, text: `${lines.join('\n')}\n`, line: from })
      open = undefined
    } else if (open !== undefined) {
      open.lines.push(line)
    } else if (line.startsWith('```')) {
      const [language = '', ...words] = line.slice(3).trim().split(/\s+/)
      open = { language, words, line: index + 1, lines: [] }
    }
  }
  return blocks
}

/**
 * Whether all lines of what a document shows are in what was printed, in their order. Ids, times and
 * widths of columns are never the same.
 */
export function findUnprinted(shown: string, printed: string): string | undefined {
  const lines = normalise(printed)
  let at = 0
  for (const wanted of normalise(shown)) {
    const found = lines.indexOf(wanted, at)
    if (found === -1) return wanted
    at = found + 1
  }
  return undefined
}

function normalise(text: string): string[] {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
    .replace(/\b[0-9a-f]{32}\b/g, 'TRACE')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/\d+(\.\d+)? (ms|s|min)\b/g, 'SPAN')
    .replace(/[░█ ]*[░█][░█ ]*/g, ' BAR ')
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .filter((line) => line !== '')
}
