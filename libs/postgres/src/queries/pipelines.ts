import type { Tx } from '../statement.ts'

export type Pipeline = {
  readonly name: string
  readonly currentVersion: number
  readonly paused: boolean
  readonly deletedAt: Date | null
  readonly createdAt: Date
}

export type PipelineVersion = {
  readonly name: string
  readonly version: number
  readonly planId: string
  readonly documentHash: string
  /** As it was sent, as it is with its defaults, and compiled: JSON text. */
  readonly document: string
  readonly effective: string
  readonly plan: string
  readonly createdBy: string
  readonly createdAt: Date
}

/** A version together with the state of its pipeline: what a submit needs. */
export type SubmitTarget = Pick<PipelineVersion, 'version' | 'planId' | 'effective' | 'plan'> & {
  readonly currentVersion: number
  readonly paused: boolean
}

export type PipelineDraft = {
  /** 0 for a pipeline that has no version yet, or was deleted. */
  readonly currentVersion: number
  /** Highest version ever; the next one is one more. */
  readonly latestVersion: number
  /** Of the current version. */
  readonly documentHash: string | null
  readonly planId: string | null
  /** Pipelines of the tenant besides this one, and how many it may have. */
  readonly otherPipelines: number
  readonly maxPipelines: number
}

const pipelineColumns = `name, current_version as "currentVersion", paused,
  deleted_at as "deletedAt", created_at as "createdAt"`
const versionColumns = `name, version, plan_id as "planId", document_hash as "documentHash",
  document, effective, plan, created_by as "createdBy", created_at as "createdAt"`

/**
 * First half of publishing, in a transaction: locks the pipeline, which is made where it is
 * missing, and says what a new version must know. Publishes of one tenant run one after another.
 */
export async function openPipeline(tx: Tx, tenant: string, name: string): Promise<PipelineDraft> {
  const [quota] = await tx.query<{ maxPipelines: number }>({
    text: `select max_pipelines as "maxPipelines" from tenants where tenant_id = $1
      for no key update`,
    values: [tenant],
  })
  await tx.execute({
    text: `insert into pipelines (tenant_id, name, current_version) values ($1, $2, 0)
      on conflict (tenant_id, name) do nothing`,
    values: [tenant, name],
  })
  const [draft] = await tx.query<Omit<PipelineDraft, 'maxPipelines'>>({
    text: `select case when p.deleted_at is null then p.current_version else 0 end as "currentVersion",
        coalesce((select max(v.version) from pipeline_versions v
          where v.tenant_id = $1 and v.name = $2), 0) as "latestVersion",
        c.document_hash as "documentHash", c.plan_id as "planId",
        (select count(*)::integer from pipelines o where o.tenant_id = $1 and o.name <> $2
          and o.deleted_at is null and o.current_version > 0) as "otherPipelines"
      from pipelines p
      left join pipeline_versions c on c.tenant_id = $1 and c.name = p.name
        and c.version = p.current_version and p.deleted_at is null
      where p.tenant_id = $1 and p.name = $2`,
    values: [tenant, name],
  })
  if (quota === undefined || draft === undefined) throw new Error('the tenant is not there')
  return { ...draft, maxPipelines: quota.maxPipelines }
}

/** Second half of publishing: the version, which becomes current. */
export async function insertVersion(
  tx: Tx,
  tenant: string,
  version: Omit<PipelineVersion, 'createdAt'>,
): Promise<void> {
  await tx.execute({
    text: `insert into pipeline_versions (tenant_id, name, version, plan_id, document_hash, document,
        effective, plan, created_by)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    values: [
      tenant,
      version.name,
      version.version,
      version.planId,
      version.documentHash,
      version.document,
      version.effective,
      version.plan,
      version.createdBy,
    ],
  })
  await tx.execute({
    text: `update pipelines set current_version = $3, deleted_at = null
      where tenant_id = $1 and name = $2`,
    values: [tenant, version.name, version.version],
  })
}

/** Undefined for a pipeline that was deleted or never published. */
export async function getPipeline(
  tx: Tx,
  tenant: string,
  name: string,
): Promise<Pipeline | undefined> {
  const rows = await tx.query<Pipeline>({
    name: 'get-pipeline',
    text: `select ${pipelineColumns} from pipelines
      where tenant_id = $1 and name = $2 and deleted_at is null and current_version > 0`,
    values: [tenant, name],
  })
  return rows[0]
}

/** By name, after the given one. */
export async function listPipelines(
  tx: Tx,
  tenant: string,
  limit: number,
  after?: string,
): Promise<Pipeline[]> {
  return tx.query<Pipeline>({
    text: `select ${pipelineColumns} from pipelines
      where tenant_id = $1 and deleted_at is null and current_version > 0
        and ($3::text is null or name > $3)
      order by name limit $2`,
    values: [tenant, limit, after ?? null],
  })
}

/** The wanted version, or the current one, of a pipeline that is not deleted. */
export async function findSubmitTarget(
  tx: Tx,
  tenant: string,
  name: string,
  version?: number,
): Promise<SubmitTarget | undefined> {
  const rows = await tx.query<SubmitTarget>({
    name: 'find-submit-target',
    text: `select v.version, v.plan_id as "planId", v.effective, v.plan,
        p.current_version as "currentVersion", p.paused
      from pipelines p
      join pipeline_versions v on v.tenant_id = $1 and v.name = p.name
        and v.version = coalesce($3::integer, p.current_version)
      where p.tenant_id = $1 and p.name = $2 and p.deleted_at is null`,
    values: [tenant, name, version ?? null],
  })
  return rows[0]
}

export async function getVersion(
  tx: Tx,
  tenant: string,
  name: string,
  version: number,
): Promise<PipelineVersion | undefined> {
  const rows = await tx.query<PipelineVersion>({
    name: 'get-pipeline-version',
    text: `select ${versionColumns} from pipeline_versions
      where tenant_id = $1 and name = $2 and version = $3`,
    values: [tenant, name, version],
  })
  return rows[0]
}

/** Newest first, before (older than) the given version. */
export async function listVersions(
  tx: Tx,
  tenant: string,
  name: string,
  limit: number,
  before?: number,
): Promise<Omit<PipelineVersion, 'document' | 'effective' | 'plan'>[]> {
  return tx.query({
    text: `select name, version, plan_id as "planId", document_hash as "documentHash",
        created_by as "createdBy", created_at as "createdAt"
      from pipeline_versions
      where tenant_id = $1 and name = $2 and ($4::integer is null or version < $4)
      order by version desc limit $3`,
    values: [tenant, name, limit, before ?? null],
  })
}

/** Sets another published version as current; false where there is no such pipeline or version. */
export async function setCurrentVersion(
  tx: Tx,
  tenant: string,
  name: string,
  version: number,
): Promise<boolean> {
  const changed = await tx.execute({
    text: `update pipelines set current_version = $3
      where tenant_id = $1 and name = $2 and deleted_at is null and exists (
        select from pipeline_versions where tenant_id = $1 and name = $2 and version = $3)`,
    values: [tenant, name, version],
  })
  return changed === 1
}

/** A paused pipeline takes jobs and dispatches none. False where there is no such pipeline. */
export async function setPaused(
  tx: Tx,
  tenant: string,
  name: string,
  paused: boolean,
): Promise<boolean> {
  const changed = await tx.execute({
    text: `update pipelines set paused = $3
      where tenant_id = $1 and name = $2 and deleted_at is null and current_version > 0`,
    values: [tenant, name, paused],
  })
  return changed === 1
}

/** Takes no jobs from now on; what is queued or running goes on. False where there is none. */
export async function deletePipeline(tx: Tx, tenant: string, name: string): Promise<boolean> {
  const changed = await tx.execute({
    text: `update pipelines set deleted_at = now()
      where tenant_id = $1 and name = $2 and deleted_at is null and current_version > 0`,
    values: [tenant, name],
  })
  return changed === 1
}
