import type { JobFilter, Stage } from '@weir/client'
import type { StageState } from '@weir/contracts'
import type { Context, Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { formatAge, formatSpan } from '../output/format-time.ts'
import { describeJob } from '../output/job-text.ts'
import { stateCell } from '../output/paint.ts'
import { formatRecord } from '../output/record-table.ts'
import { formatTable } from '../output/table.ts'
import { parseInteger, parsePairs } from '../pairs.ts'

type PageFlags = { readonly limit?: string; readonly cursor?: string }

type JobFlags = PageFlags & {
  readonly status?: readonly string[]
  readonly pipeline?: string
  readonly tag?: readonly string[]
  readonly correlationId?: string
  readonly idempotencyKey?: string
  readonly failedStep?: string
  readonly from?: string
  readonly to?: string
  readonly include?: string
}

const pageOf = ({ limit, cursor }: PageFlags) =>
  definedOf({ limit: parseInteger('--limit', limit, 1, 500), cursor }) as {
    limit?: number
    cursor?: string
  }

function sayMore({ say }: Context, nextCursor: string | undefined): void {
  if (nextCursor !== undefined) say(`there are more: --cursor ${nextCursor}`)
}

export const getJobs: Run<JobFlags> = async (context, flags) => {
  const { out, args } = context
  const { jobs } = await context.connect()
  const [id] = args
  if (id !== undefined) {
    const include = flags.include?.split(',') as ('input' | 'outputs')[] | undefined
    if (include?.some((part) => !['input', 'outputs'].includes(part))) {
      throw usage('--include takes input, outputs, or input,outputs')
    }
    const job = await jobs.get(id, include === undefined ? {} : { include })
    await out.show({ data: job, table: (paint) => describeJob(job, paint), names: () => [job.id] })
    return
  }
  const { status, pipeline, correlationId, idempotencyKey, failedStep, from, to } = flags
  const named = { status, pipeline, correlationId, idempotencyKey, failedStep, from, to }
  const tags = flags.tag && { tags: parsePairs('--tag', flags.tag) }
  const filter: JobFilter = { ...(definedOf(named) as JobFilter), ...tags, ...pageOf(flags) }
  const page = await jobs.list(filter)
  const rows = page.jobs.map((job) => [
    job.id,
    `${job.pipeline} v${job.version}`,
    stateCell(job.status),
    job.priority,
    formatAge(job.submittedAt),
    formatSpan(job.submittedAt, job.finishedAt),
    job.error && `${job.error.code}${job.error.step === undefined ? '' : ` in ${job.error.step}`}`,
  ])
  const names = ['ID', 'PIPELINE', 'STATUS', 'PRIORITY', 'AGE', 'TOOK', 'ERROR']
  await out.show({
    data: page,
    table: (paint) => formatTable(names, rows, paint),
    names: () => page.jobs.map((job) => job.id),
  })
  sayMore(context, page.nextCursor)
}

export const getPipelines: Run<PageFlags & { readonly pipelineVersion?: string }> = async (
  context,
  flags,
) => {
  const { out, args } = context
  const { pipelines } = await context.connect()
  const [name] = args
  if (name !== undefined) {
    const version = parseInteger('--pipeline-version', flags.pipelineVersion, 1)
    const pipeline =
      version === undefined ? await pipelines.get(name) : await pipelines.version(name, version)
    const { toYaml } = await import('../output/output.ts')
    const document = await toYaml(pipeline.document)
    const head = `${pipeline.name} v${pipeline.version}, plan ${pipeline.planId}, by ${pipeline.createdBy}`
    await out.show({
      data: pipeline,
      table: () => `# ${head}\n${document.trimEnd()}`,
      names: () => [pipeline.name],
    })
    return
  }
  const page = await pipelines.list(pageOf(flags))
  const rows = page.pipelines.map(({ name, version, paused, createdAt }) => [
    name,
    version,
    paused ? 'yes' : 'no',
    formatAge(createdAt),
  ])
  await out.show({
    data: page,
    table: (paint) => formatTable(['NAME', 'VERSION', 'PAUSED', 'AGE'], rows, paint),
    names: () => page.pipelines.map((pipeline) => pipeline.name),
  })
  sayMore(context, page.nextCursor)
}

type StageFlags = { readonly state?: readonly StageState[] }

export const getStages: Run<StageFlags> = async (context, { state }) => {
  const { out, args } = context
  const { stages } = await context.connect()
  const [ref] = args
  if (ref !== undefined) {
    const stage = await stages.get(ref)
    await out.show({
      data: stage,
      table: () => describeStage(stage),
      names: () => [stage.ref],
    })
    return
  }
  const all = await stages.list(state === undefined ? {} : { state })
  const rows = all.map((stage) => [
    stage.ref,
    stage.kind,
    stateCell(stage.state),
    stage.instances.length,
    [...new Set(stage.instances.map(({ version }) => version))].join(', '),
    stage.partitions,
    stage.lanes.join(', '),
  ])
  const names = ['STAGE', 'KIND', 'STATE', 'INSTANCES', 'VERSIONS', 'PARTITIONS', 'LANES']
  await out.show({
    data: { stages: all },
    table: (paint) => formatTable(names, rows, paint),
    names: () => all.map((stage) => stage.ref),
  })
}

/** A stage for people. */
export function describeStage(stage: Stage): string {
  const { instances, contracts, spec, ...head } = stage
  const rows = instances.map((instance) => [
    instance.id,
    instance.version,
    stateCell(instance.state),
    instance.partitions.length,
    formatAge(instance.startedAt),
    `${instance.heartbeatAgeMs} ms`,
  ])
  const agreed = contracts.map(({ version, accepted, reason, hash }) => [
    version,
    accepted ? 'yes' : 'no',
    hash,
    reason,
  ])
  return [
    formatRecord({ ...head, ...spec }),
    '',
    formatTable(['INSTANCE', 'VERSION', 'STATE', 'PARTITIONS', 'AGE', 'HEARTBEAT'], rows),
    '',
    formatTable(['CONTRACT', 'ACCEPTED', 'HASH', 'REASON'], agreed),
  ].join('\n')
}

export const getTenants: Run<PageFlags> = async (context, flags) => {
  const { out, args } = context
  const { tenants } = await context.connect()
  const [id] = args
  if (id !== undefined) {
    const tenant = await tenants.get(id)
    const { quotas, ...head } = tenant
    const data = { ...head, ...quotas }
    await out.show({ data: tenant, table: () => formatRecord(data), names: () => [tenant.id] })
    return
  }
  const page = await tenants.list(pageOf(flags))
  const rows = page.tenants.map(({ id, name, suspended, quotas, createdAt }) => [
    id,
    name,
    suspended ? 'yes' : 'no',
    quotas.weight,
    formatAge(createdAt),
  ])
  await out.show({
    data: page,
    table: (paint) => formatTable(['ID', 'NAME', 'SUSPENDED', 'WEIGHT', 'AGE'], rows, paint),
    names: () => page.tenants.map((tenant) => tenant.id),
  })
  sayMore(context, page.nextCursor)
}

export const getKeys: Run = async (context) => {
  const { out, args } = context
  const { keys } = await context.connect()
  const all = await keys.list()
  const [id] = args
  if (id !== undefined) {
    const key = all.find((one) => one.id === id)
    if (key === undefined) {
      const init = { exitCode: exitCodes.notFound, code: 'not_found', hint: 'weir get keys' }
      throw new Failure(`there is no key ${id}`, init)
    }
    await out.show({ data: key, table: () => formatRecord({ ...key }), names: () => [key.id] })
    return
  }
  const rows = all.map((key) => [
    key.id,
    key.name,
    key.role,
    key.scopes.join(', '),
    key.revokedAt === null ? 'no' : `${formatAge(key.revokedAt)} ago`,
    key.expiresAt,
  ])
  const names = ['ID', 'NAME', 'ROLE', 'SCOPES', 'REVOKED', 'EXPIRES']
  await out.show({
    data: { keys: all },
    table: (paint) => formatTable(names, rows, paint),
    names: () => all.map((key) => key.id),
  })
}
