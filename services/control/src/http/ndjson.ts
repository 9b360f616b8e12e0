import { limits, WeirError } from '@weir/contracts'
import { parseStrictJson } from './strict-json.ts'

const NEWLINE = 0x0a

/**
 * The jobs of a newline-delimited batch, in the shape of the JSON one. Empty lines are passed over;
 * a line that is no JSON is named by its number, from 1.
 */
export function parseNdjson(body: Buffer): { jobs: unknown[] } {
  const jobs: unknown[] = []
  let line = 0
  for (let start = 0; start < body.length; ) {
    const newline = body.indexOf(NEWLINE, start)
    const end = newline === -1 ? body.length : newline
    line++
    const text = body.subarray(start, end)
    start = end + 1
    if (isBlank(text)) continue
    if (jobs.length === limits.batchJobs) {
      throw new WeirError('payload_too_large', `A batch has at most ${limits.batchJobs} jobs.`)
    }
    jobs.push(parseLine(text, line))
  }
  return { jobs }
}

function parseLine(text: Buffer, line: number): unknown {
  try {
    return parseStrictJson(text)
  } catch (error) {
    if (!WeirError.is(error)) throw error
    throw new WeirError(error.code, `Line ${line}: ${error.message}`, { cause: error })
  }
}

function isBlank(text: Buffer): boolean {
  return text.length === 0 || (text.length === 1 && text[0] === 0x0d)
}
