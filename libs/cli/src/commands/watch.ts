import type { Client } from '@weir/client'
import type { JobEvent, StageEvent, TaskProgress } from '@weir/contracts'
import type { Context, Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { formatMs } from '../output/format-time.ts'
import { describeJob } from '../output/job-text.ts'
import { createLive } from '../output/live.ts'
import { clean } from '../output/table.ts'
import { parseInteger } from '../pairs.ts'
import { exitCodeOfJob } from './job-status.ts'

type WatchFlags = { readonly exitStatus?: boolean; readonly timeout?: string }

export const watch: Run<WatchFlags> = async (context, flags) => {
  const { io, out, say } = context
  const id = context.args[0] as string
  const timeoutMs = parseInteger('--timeout', flags.timeout, 1, 2_147_483_647)
  const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
  const client = await context.connect()
  try {
    if (out.isLive) await watchLive(context, client, id, limit)
    else await watchLines(context, client, id, limit)
  } catch (error) {
    if (io.signal.aborted) say(`it goes on; watch it again with: weir watch ${id}`)
    if (limit?.aborted !== true || io.signal.aborted) throw error
    say(`not over after ${timeoutMs} ms; watch it again with: weir watch ${id}`)
    return exitCodes.timedOut
  }
  return exitCodeOfJob(await client.jobs.get(id), flags.exitStatus === true)
}

async function watchLines(
  { out }: Context,
  { jobs }: Client,
  id: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const event of jobs.follow(id, { signal })) {
    out.line(out.format === 'json' ? JSON.stringify(event) : formatEvent(event))
  }
}

/** One line of a job's log. */
export function formatEvent(event: JobEvent): string {
  const { at, type, step, item, attempt, data } = event
  const facts = [
    at,
    type,
    step === undefined ? undefined : `${step}${item === undefined ? '' : `[${item}]`}`,
    attempt === undefined || attempt < 2 ? undefined : `attempt ${attempt}`,
    data.workMs === undefined ? undefined : `work ${formatMs(data.workMs)}`,
    data.waitMs === undefined ? undefined : `wait ${formatMs(data.waitMs)}`,
    data.retryAt === undefined ? undefined : `again at ${data.retryAt}`,
    data.progress && formatProgress(data.progress),
    data.event && formatSaid(data.event),
    data.lost && `${data.lost.count} events are missing here (${data.lost.reason})`,
    data.artifact && `${data.artifact.name}, ${data.artifact.bytes} bytes`,
    data.reason,
    data.error && `${data.error.code}: ${data.error.message}`,
  ]
  return clean(facts.filter((fact) => fact !== undefined).join('  '))
}

const formatSaid = ({ name, data }: StageEvent): string =>
  data === undefined ? name : `${name} ${JSON.stringify(data)}`

const formatProgress = ({ done, total }: TaskProgress): string =>
  total === undefined ? `${done} done` : `${done} of ${total}`

/** The job as it is, drawn anew after events; those that come while it is fetched count as one. */
async function watchLive(
  { io, out }: Context,
  { jobs }: Client,
  id: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const live = createLive(io)
  const draw = async (): Promise<void> => live.draw(describeJob(await jobs.get(id), out.paint))
  let drawing: Promise<void> | undefined
  let isStale = false
  let failure: unknown
  const refresh = (): void => {
    isStale = true
    drawing ??= (async () => {
      while (isStale) {
        isStale = false
        await draw()
      }
    })()
      .catch((error: unknown) => {
        failure = error
      })
      .finally(() => {
        drawing = undefined
      })
  }
  await draw()
  for await (const _ of jobs.follow(id, { signal })) {
    refresh()
    if (failure !== undefined) throw failure
  }
  await drawing
  await draw()
}
