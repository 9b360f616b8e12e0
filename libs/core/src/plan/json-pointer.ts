/** Appends a member to a JSON pointer (RFC 6901). */
export function pointer(base: string, member: string | number): string {
  return `${base}/${String(member).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
