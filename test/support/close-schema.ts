type Schema = { readonly [keyword: string]: unknown }

/**
 * A schema under which no object has members that it does not name. What is published leaves them
 * open, so that a newer Weir may say more; what this one says is all in the schema.
 */
export function closeSchema(schema: unknown): Schema {
  return close(schema) as Schema
}

function close(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(close)
  if (typeof value !== 'object' || value === null) return value
  const closed = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, close(one)]))
  const isOpen = closed.type === 'object' && typeof closed.properties === 'object'
  return isOpen && closed.additionalProperties === undefined
    ? { ...closed, additionalProperties: false }
    : closed
}
