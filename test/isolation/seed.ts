import { newUuid } from '@weir/contracts'
import type { TestDatabase } from '../support/database.ts'

type Values = Readonly<Record<string, unknown>>

/** The log of a job with one task, so that no view of it is empty. */
function eventsOf(label: string): string {
  const at = new Date().toISOString()
  const step = { run: 1, at, step: `step-${label}`, stage: 's@1', attempt: 1 }
  return JSON.stringify([
    { seq: 1, run: 1, type: 'job.queued', at, data: {} },
    { seq: 2, ...step, type: 'task.completed', data: { waitMs: 1, workMs: 2, output: '1' } },
  ])
}

/** One row for every tenant table, parents first; a table that is missing here fails the suite. */
export function rowsOf(tenant: string, label: string): Readonly<Record<string, Values>> {
  const job = newUuid()
  const now = new Date()
  return {
    tenants: { name: label },
    tenant_usage: { queued: 1, in_flight: 1 },
    api_keys: {
      id: newUuid(),
      key_id: `key-${label}`,
      secret_hash: Buffer.from([1]),
      role: 'admin',
      name: 'n',
    },
    pipelines: { name: `flow-${label}`, current_version: 1 },
    pipeline_versions: {
      name: `flow-${label}`,
      version: 1,
      plan_id: `plan-${tenant}`,
      document_hash: 'h',
      document: '{}',
      effective: '{}',
      plan: '{}',
      created_by: 'k',
    },
    jobs: {
      id: job,
      pipeline: `flow-${label}`,
      version: 1,
      plan_id: `plan-${tenant}`,
      priority: 128,
      correlation_id: 'c',
      input: `"secret of ${label}"`,
      input_bytes: 1,
      submitted_at: now,
    },
    submit_keys: {
      key: 'same',
      pipeline: 'p',
      job_id: job,
      body_hash: Buffer.from([1]),
      created_at: now,
    },
    job_queue: {
      job_id: job,
      run: 1,
      plan_id: `plan-${tenant}`,
      pipeline: 'p',
      band: 1,
      virtual_finish: 1,
      queued_at: now,
    },
    in_flight: {
      job_id: job,
      run: 1,
      plan_id: `plan-${tenant}`,
      pipeline: 'p',
      weight: 1,
      claimed_at: now,
      not_after: now,
    },
    job_log: { job_id: job, from_seq: 1, to_seq: 2, run: 1, events: eventsOf(label) },
    artifacts: { job_id: job, run: 1, step: 's', item: '', digest: 'd', body: Buffer.from([1]) },
    payloads: { job_id: job, run: 1, step: 's', item: '', digest: 'd', body: '{}' },
    audit_log: {
      id: newUuid(),
      actor: 'a',
      action: 'x',
      object: 'o',
      decision: 'allowed',
      request_id: 'r',
    },
  }
}

/** The insert of a row, for whoever runs it. */
export function insertOf(table: string, tenant: string, row: Values) {
  const columns = ['tenant_id', ...Object.keys(row)]
  return {
    text: `insert into ${table} (${columns.join(', ')})
      values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
    values: [tenant, ...Object.values(row)],
  }
}

export async function seed(db: TestDatabase, tenant: string, label: string): Promise<void> {
  for (const [table, row] of Object.entries(rowsOf(tenant, label))) {
    const insert = insertOf(table, tenant, row)
    await db.admin(insert.text, insert.values)
  }
}
