import type { Tx } from '../statement.ts'

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

/** Adds an entry, in the transaction of what it is about. `tenant` may be INSTALLATION. */
export async function insertAudit(
  tx: Tx,
  tenant: string,
  entry: Omit<AuditEntry, 'at'>,
): Promise<void> {
  await tx.execute({
    name: 'insert-audit',
    text: `insert into audit_log (tenant_id, id, actor, action, object, decision, request_id, reason,
        detail)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
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
    ],
  })
}

/** Newest first, older than `before`. */
export async function listAudit(
  tx: Tx,
  tenant: string,
  page: { readonly limit: number; readonly before?: string },
): Promise<AuditEntry[]> {
  return tx.query<AuditEntry>({
    text: `select id, at, actor, action, object, decision, request_id as "requestId", reason, detail
      from audit_log where tenant_id = $1 and ($3::uuid is null or id < $3)
      order by id desc limit $2`,
    values: [tenant, page.limit, page.before ?? null],
  })
}
