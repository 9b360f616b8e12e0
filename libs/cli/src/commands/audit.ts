import type { AuditEntry, AuditFilter } from '@weir/client'
import type { Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { usage } from '../failure.ts'
import { callIfThere } from '../missing.ts'
import type { Paint } from '../output/paint.ts'
import { formatTable } from '../output/table.ts'
import { parseInteger } from '../pairs.ts'

type AuditFlags = {
  readonly action?: string
  readonly actor?: string
  readonly decision?: AuditEntry['decision']
  readonly since?: string
  readonly until?: string
  readonly limit?: string
  readonly cursor?: string
}

export const showAudit: Run<AuditFlags> = async (context, flags) => {
  const { action, actor, decision, since, until, limit, cursor } = flags
  const filter = definedOf({
    action,
    actor,
    decision,
    from: since === undefined ? undefined : parseTime('--since', since),
    to: until === undefined ? undefined : parseTime('--until', until),
    limit: parseInteger('--limit', limit, 1, 500),
    cursor,
  }) as AuditFilter
  const client = await context.connect()
  const page = await callIfThere(client, '/v1/audit', 'the audit log', () =>
    client.audit.list(filter),
  )
  await context.out.show({
    data: page,
    table: (paint) => formatEntries(page.entries, paint),
    names: () => page.entries.map(({ id }) => id),
  })
}

function formatEntries(entries: readonly AuditEntry[], paint: Paint): string {
  const rows = entries.map(({ at, actor, action, object, decision, reason, detail }) => [
    at,
    actor,
    action,
    object,
    decision === 'denied' ? { text: decision, color: 'red' } : decision,
    [reason, ...Object.entries(detail ?? {}).map(toPair)].filter(Boolean).join(' '),
  ])
  return formatTable(['AT', 'ACTOR', 'ACTION', 'OBJECT', 'DECISION', 'DETAIL'], rows, paint)
}

const toPair = ([name, value]: readonly [string, unknown]): string =>
  `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** A time of RFC 3339, or a span back from now: `90s`, `15m`, `2h`, `7d`. */
export function parseTime(flag: string, text: string, nowMs: number = Date.now()): string {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const ms =
    count === undefined ? Date.parse(text) : nowMs - Number(count) * (UNITS_MS[unit] as number)
  if (!Number.isNaN(ms)) return new Date(ms).toISOString()
  throw usage(`${flag} takes a time of RFC 3339 or a span like 2h, not "${text}"`)
}
