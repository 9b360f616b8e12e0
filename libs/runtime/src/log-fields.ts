const TEXT_MAX = 2048
const STACK_MAX = 4096
const CAUSES_MAX = 8
const ITEMS_MAX = 20
const KEYS_MAX = 50

/** Names under which users' data or credentials travel: their values are never written. */
const WITHHELD =
  /^(?:payload|value|body|input|output|result|data|headers|cookie|authorization|params)$|password|secret|token|ticket|credential|apikey/i

type Loggable = string | number | boolean | null | Loggable[] | { [key: string]: Loggable }

/**
 * What may stand in a line: plain values, cut to a length; errors; and one level of objects and
 * arrays of plain values. All else is replaced by a note of what it was, so that a payload that
 * strays into a log call does not get written.
 */
export function toLogFields(fields: Record<string, unknown>): Record<string, Loggable> {
  return toObject(fields, 1)
}

function toObject(fields: object, depth: number): { [key: string]: Loggable } {
  const result: { [key: string]: Loggable } = {}
  let count = 0
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue
    count += 1
    if (count > KEYS_MAX) break
    result[key] = WITHHELD.test(key) ? '[withheld]' : toLoggable(value, depth)
  }
  return result
}

function toLoggable(value: unknown, depth: number): Loggable {
  switch (typeof value) {
    case 'string':
      return cut(value, TEXT_MAX)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return String(value)
    case 'object':
      if (value === null) return null
      if (value instanceof Error) return serializeError(value)
      if (value instanceof Date) return value.toISOString()
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
      if (depth === 0) return Array.isArray(value) ? '[array]' : '[object]'
      if (Array.isArray(value)) {
        return value.slice(0, ITEMS_MAX).map((item) => toLoggable(item, depth - 1))
      }
      return toObject(value, depth - 1)
    default:
      return `[${typeof value}]`
  }
}

/** The error with its whole chain of causes: name, code, message, stack, and nothing it carries. */
function serializeError(error: unknown, depth = 0): { [key: string]: Loggable } {
  if (!(error instanceof Error)) return { message: cut(String(error), TEXT_MAX) }
  const { code } = error as { code?: unknown }
  const result: { [key: string]: Loggable } = {
    name: error.name,
    message: cut(error.message, TEXT_MAX),
  }
  if (typeof code === 'string' || typeof code === 'number') result.code = code
  if (error.stack !== undefined) result.stack = cut(error.stack, STACK_MAX)
  if (error.cause !== undefined && depth < CAUSES_MAX) {
    result.cause = serializeError(error.cause, depth + 1)
  }
  if (error instanceof AggregateError && depth < CAUSES_MAX) {
    result.errors = error.errors
      .slice(0, ITEMS_MAX)
      .map((inner: unknown) => serializeError(inner, depth + 1))
  }
  return result
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… (${text.length} characters)`
}
