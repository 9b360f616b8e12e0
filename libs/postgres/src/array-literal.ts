/** The text form of a text[]: for an array of arrays of unequal length, which unnest cannot take. */
export function arrayLiteral(items: readonly string[]): string {
  if (items.length === 0) return '{}'
  const quoted = items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`)
  return `{${quoted.join(',')}}`
}
