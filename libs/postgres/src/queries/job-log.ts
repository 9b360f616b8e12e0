import type { Tx } from '../statement.ts'
import type { LogChunk } from './runs.ts'

/**
 * Chunks of a job's event log that hold an event after `after`, in order. The first one may begin
 * with events up to `after`.
 */
export async function readJobLog(
  tx: Tx,
  tenant: string,
  job: string,
  after: number,
  limit: number,
): Promise<LogChunk[]> {
  return tx.query<LogChunk>({
    name: 'read-job-log',
    text: `select run, from_seq as "fromSeq", to_seq as "toSeq", events from job_log
      where tenant_id = $1 and job_id = $2 and to_seq > $3 order by from_seq limit $4`,
    values: [tenant, job, after, limit],
  })
}

export type Payload = {
  readonly run: number
  readonly step: string
  readonly item: string
  readonly digest: string
  readonly body: string
}

/** Outputs too large for the log, of one run. */
export async function readPayloads(
  tx: Tx,
  tenant: string,
  job: string,
  run: number,
): Promise<Payload[]> {
  return tx.query<Payload>({
    name: 'read-payloads',
    text: `select run, step, item, digest, body from payloads
      where tenant_id = $1 and job_id = $2 and run = $3 order by step, item`,
    values: [tenant, job, run],
  })
}
