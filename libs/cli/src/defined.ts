/** Without the members that say nothing. */
export function definedOf<Value extends object>(
  value: Value,
): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  const entries = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(entries) as ReturnType<typeof definedOf<Value>>
}
