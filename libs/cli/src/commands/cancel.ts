import type { JobSelection } from '@weir/client'
import { confirm } from '../confirm.ts'
import type { Context, Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { usage } from '../failure.ts'
import { describeJob } from '../output/job-text.ts'
import { formatRecord } from '../output/record-table.ts'
import { parsePairs } from '../pairs.ts'

type CancelFlags = {
  readonly pipeline?: string
  readonly status?: readonly string[]
  readonly tag?: readonly string[]
  readonly correlationId?: string
  readonly from?: string
  readonly to?: string
  readonly all?: boolean
  readonly because?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** One job by its id, or all that a filter names: these only after it was said how many they are. */
export const cancel: Run<CancelFlags> = async (context, flags) => {
  const [id] = context.args
  const selection = selectionOf(flags)
  if (id !== undefined && selection !== undefined) {
    throw usage('a job is named either by its id or by a filter')
  }
  if (id !== undefined) return cancelOne(context, id, flags)
  if (selection === undefined) {
    throw usage('which jobs? Give an id, a filter, or --all', 'what is there: weir get jobs')
  }
  return cancelSelected(context, selection, flags)
}

async function cancelOne(context: Context, id: string, flags: CancelFlags): Promise<void> {
  if (flags.dryRun === true) throw usage('--dry-run is for a filter')
  const { jobs } = await context.connect()
  const job = await jobs.cancel(id, flags.because)
  await context.out.show({
    data: job,
    table: (paint) => describeJob(job, paint),
    names: () => [job.id],
  })
}

async function cancelSelected(
  context: Context,
  selection: JobSelection,
  { because, dryRun, yes }: CancelFlags,
): Promise<void> {
  const { jobs } = await context.connect()
  const plan = await jobs.planCancel(selection)
  if (dryRun === true) {
    await context.out.show({
      data: plan,
      table: () => formatRecord({ total: plan.total, ...plan.byStatus }),
      names: () => [String(plan.total)],
    })
    return
  }
  const { queued = 0, running = 0 } = plan.byStatus
  await confirm(context, `${queued} queued and ${running} running jobs are to be cancelled.`, yes)
  const counts = await jobs.cancelAll(selection, because)
  await context.out.show({ data: counts, table: () => formatRecord(counts), names: () => [] })
}

function selectionOf(flags: CancelFlags): JobSelection | undefined {
  const { pipeline, status, correlationId, from, to, all } = flags
  const tags = flags.tag && parsePairs('--tag', flags.tag)
  const filter = definedOf({ pipeline, status, tags, correlationId, from, to })
  const isEmpty = Object.keys(filter).length === 0
  if (all === true && !isEmpty) throw usage('--all means every job; leave it out, or the filter')
  if (all === true) return 'all'
  return isEmpty ? undefined : (filter as JobSelection)
}
