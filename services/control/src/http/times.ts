/** RFC 3339 in UTC with milliseconds. */
export const toTime = (date: Date): string => date.toISOString()
export const toTimeOrNull = (date: Date | null): string | null => date?.toISOString() ?? null
