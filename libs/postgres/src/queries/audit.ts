import type { Tx } from '../statement.ts'
import { lowestUuidAt } from '../uuid-floor.ts'

export type AuditEntry = {
  readonly id: string
  readonly at: Date
  /** Key id, or `operator`. */
  readonly actor: string
  readonly action: string
  readonly object: string
  readonly decision: 'allowed' | 'denied'
  readonly requestId: string
  readonly reason: string | null
  /** JSON text. */
  readonly detail: string | null
}

/**
 * Adds an entry, in the transaction of what it is about. `tenant` may be INSTALLATION. What several
 * instances have seen has one id, made from what it is about: it is written once.
 */
export async function insertAudit(
  tx: Tx,
  tenant: string,
  entry: Omit<AuditEntry, 'at'> & Partial<Pick<AuditEntry, 'at'>>,
): Promise<void> {
  await tx.execute({
    name: 'insert-audit',
    text: `insert into audit_log (tenant_id, id, actor, action, object, decision, request_id, reason,
        detail, at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce($10, clock_timestamp()))
      on conflict (tenant_id, id) do nothing`,
    values: [
      tenant,
      entry.id,
      entry.actor,
      entry.action,
      entry.object,
      entry.decision,
      entry.requestId,
      entry.reason,
      entry.detail,
      entry.at ?? null,
    ],
  })
}

export type AuditFilter = {
  readonly action?: string
  readonly actor?: string
  readonly decision?: AuditEntry['decision']
  /** At or after, and before. */
  readonly from?: Date
  readonly to?: Date
}

/** An id is made by a process and a time by the database: so far apart their clocks may be. */
const CLOCKS_APART_MS = 60_000

/**
 * Newest first, older than `before`. The ids begin with their time: with `from` and `to` no more of
 * the log is read than lies between them.
 */
export async function listAudit(
  tx: Tx,
  tenant: string,
  page: { readonly limit: number; readonly before?: string },
  filter: AuditFilter = {},
): Promise<AuditEntry[]> {
  const { action, actor, decision, from, to } = filter
  const values: unknown[] = [tenant]
  const where = ['tenant_id = $1']
  const add = (condition: string, value: unknown) => {
    where.push(`${condition} $${values.push(value)}`)
  }
  if (page.before !== undefined) add('id <', page.before)
  if (action !== undefined) add('action =', action)
  if (actor !== undefined) add('actor =', actor)
  if (decision !== undefined) add('decision =', decision)
  if (from !== undefined) {
    add('at >=', from)
    add('id >=', lowestUuidAt(from.getTime() - CLOCKS_APART_MS))
  }
  if (to !== undefined) {
    add('at <', to)
    add('id <', lowestUuidAt(to.getTime() + CLOCKS_APART_MS))
  }
  return tx.query<AuditEntry>({
    text: `select id, at, actor, action, object, decision, request_id as "requestId", reason, detail
      from audit_log where ${where.join(' and ')}
      order by id desc limit $${values.push(page.limit)}`,
    values,
  })
}
