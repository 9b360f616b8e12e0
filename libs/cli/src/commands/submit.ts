import type { JobRequest } from '@weir/client'
import type { Context, Run } from '../context.ts'
import { usage } from '../failure.ts'
import { describeJob } from '../output/job-text.ts'
import { parseInteger, parsePairs } from '../pairs.ts'
import { readData } from '../read-source.ts'
import { exitCodeOfJob } from './job-status.ts'
import { submitMany } from './submit-many.ts'

export type SubmitFlags = {
  readonly data?: string
  readonly ndjson?: string
  readonly raw?: boolean
  readonly count?: boolean
  readonly tag?: readonly string[]
  readonly idempotencyKey?: string
  readonly priority?: string
  readonly orderingKey?: string
  readonly correlationId?: string
  readonly deadline?: string
  readonly pipelineVersion?: string
  readonly wait?: string | true
  readonly exitStatus?: boolean
}

const WAIT_MS = 60_000
const WAIT_MAX_MS = 24 * 3_600_000

export const submit: Run<SubmitFlags> = async (context, flags) => {
  const pipeline = context.args[0] as string
  const common = membersOf(flags)
  if (flags.ndjson !== undefined) {
    if (flags.data !== undefined || flags.wait !== undefined) {
      throw usage('--ndjson goes with neither --data nor --wait')
    }
    return submitMany(context, pipeline, flags, common)
  }
  return submitOne(context, pipeline, flags, common)
}

async function submitOne(
  context: Context,
  pipeline: string,
  flags: SubmitFlags,
  common: Omit<JobRequest, 'input'>,
): Promise<number> {
  const { io, out, say } = context
  const waitMs = flags.wait === true ? WAIT_MS : parseInteger('--wait', flags.wait, 1, WAIT_MAX_MS)
  const input = flags.data === undefined ? null : await readData(io, '--data', flags.data)
  const { jobs } = await context.connect()
  const { isReplayed, ...job } = await jobs.submit(
    pipeline,
    { input, ...common },
    flags.idempotencyKey === undefined ? {} : { idempotencyKey: flags.idempotencyKey },
  )
  if (isReplayed) say(`${job.id} had been submitted under this key already`)
  if (waitMs === undefined) {
    await out.show({ data: job, table: () => job.id, names: () => [job.id] })
    return 0
  }
  const ended = await jobs.waitFor(job.id, { timeoutMs: waitMs, signal: io.signal })
  await out.show({
    data: ended,
    table: (paint) => describeJob(ended, paint),
    names: () => [ended.id],
  })
  const exitCode = exitCodeOfJob(ended, flags.exitStatus === true)
  if (exitCode === 6)
    say(`still ${ended.status} after ${waitMs} ms; go on with: weir watch ${job.id}`)
  return exitCode
}

function membersOf(flags: SubmitFlags): Omit<JobRequest, 'input'> {
  const { tag, orderingKey, correlationId } = flags
  const priority = parseInteger('--priority', flags.priority, 0, 255)
  const deadlineMs = parseInteger('--deadline', flags.deadline, 1)
  const version = parseInteger('--pipeline-version', flags.pipelineVersion, 1)
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(tag === undefined ? {} : { tags: parsePairs('--tag', tag) }),
    ...(version === undefined ? {} : { version }),
  }
}
