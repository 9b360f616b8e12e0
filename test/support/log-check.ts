import { asTenant, type Pool } from '@weir/postgres'
import { type AuditRow, assertAudited } from './audit-check.ts'
import { assertEvents } from './event-check.ts'

const CHUNKS = 500

type Chunk = { readonly job: string; readonly seq: number; readonly events: string }
type Event = Parameters<typeof assertEvents>[0][number]

/**
 * Fails where anything in the logs of a tenant is not what it is documented to be: the events of its
 * jobs, ended or not, and its audit entries. Gives how many events there are of each type.
 */
export async function checkLogs(pool: Pool, tenant: string): Promise<Map<string, number>> {
  const audited = await asTenant(pool, tenant).query<AuditRow>({
    text: `select tenant_id as tenant, action, decision, detail from audit_log
      where tenant_id = $1`,
    values: [tenant],
  })
  for (const row of audited) assertAudited(row)
  const counts = new Map<string, number>()
  for await (const events of readLogs(pool, tenant)) {
    for (const [type, count] of assertEvents(events)) {
      counts.set(type, (counts.get(type) ?? 0) + count)
    }
  }
  return counts
}

/** The events of each job of a tenant. */
async function* readLogs(pool: Pool, tenant: string): AsyncGenerator<Event[]> {
  let after: readonly [string, number] = ['00000000-0000-0000-0000-000000000000', 0]
  let job = ''
  let events: Event[] = []
  for (;;) {
    const chunks = await asTenant(pool, tenant).query<Chunk>({
      text: `select job_id as job, from_seq as seq, events from job_log
        where tenant_id = $1 and (job_id, from_seq) > ($2::uuid, $3::integer)
        order by job_id, from_seq limit $4`,
      values: [tenant, ...after, CHUNKS],
    })
    for (const chunk of chunks) {
      if (chunk.job !== job && events.length > 0) yield events
      if (chunk.job !== job) events = []
      job = chunk.job
      events.push(...(JSON.parse(chunk.events) as Event[]))
      after = [chunk.job, chunk.seq]
    }
    if (chunks.length < CHUNKS) break
  }
  if (events.length > 0) yield events
}
