import type { Replay, ReplayOperation, ReplayRequest, ReplayScope } from '@weir/client'
import type { Context, Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { usage } from '../failure.ts'
import { callIfThere } from '../missing.ts'
import { formatRecord, formatRecords } from '../output/record-table.ts'
import { parseInteger } from '../pairs.ts'

const PATH = '/v1/replays'
const COLUMNS = ['id', 'status', 'total', 'done', 'skipped', 'failed']

type StartFlags = {
  readonly pipeline?: string
  readonly status?: string
  readonly failedStep?: string
  readonly errorCode?: string
  readonly from?: string
  readonly to?: string
  readonly fromStep?: string
  readonly strategy?: 'repair' | 'reexecute'
  readonly useVersion?: 'pinned' | 'current'
  readonly rate?: string
  readonly because?: string
  readonly dryRun?: boolean
}

type PageFlags = { readonly limit?: string; readonly cursor?: string }

const showReplay = ({ out }: Context, replay: Replay) =>
  out.show({ data: replay, table: () => formatRecord(replay), names: () => [replay.id] })

/** Starts a replay of a scope, or says with `--dry-run` what it would do. */
export async function replayScope(
  context: Context,
  scope: ReplayScope,
  flags: Pick<StartFlags, 'fromStep' | 'strategy' | 'useVersion' | 'rate' | 'because' | 'dryRun'>,
): Promise<void> {
  const { fromStep, strategy = 'repair', useVersion, because } = flags
  if (because === undefined) throw usage('--because is needed: why do they run again?')
  const ratePerSecond = parseInteger('--rate', flags.rate, 1)
  const request: ReplayRequest = {
    scope,
    strategy,
    reason: because,
    ...(fromStep === undefined ? {} : { fromStep }),
    ...(useVersion === undefined ? {} : { version: useVersion }),
    ...(ratePerSecond === undefined ? {} : { ratePerSecond }),
  }
  const client = await context.connect()
  if (flags.dryRun === true) {
    const plan = await callIfThere(client, PATH, 'replays', () => client.replays.plan(request))
    await context.out.show({
      data: plan,
      table: () => formatRecord(plan),
      names: () => [String(plan.total)],
    })
    return
  }
  const replay = await callIfThere(client, PATH, 'replays', () => client.replays.start(request))
  await showReplay(context, replay)
  context.say(`follow it with: weir replay get ${replay.id}`)
}

export const startReplay: Run<StartFlags> = async (context, flags) => {
  const jobs = context.args.filter((id) => id !== undefined)
  const { pipeline, status, failedStep, errorCode, from, to } = flags
  const filter = definedOf({ status, failedStep, errorCode, from, to })
  if (jobs.length > 0) {
    if (pipeline !== undefined || Object.keys(filter).length > 0) {
      throw usage('jobs are named either by their ids or by a filter')
    }
    return replayScope(context, { jobs }, flags)
  }
  if (pipeline === undefined) throw usage('which jobs? Give ids, or a filter with --pipeline')
  return replayScope(context, { filter: { pipeline, ...filter } }, flags)
}

export const listReplays: Run<PageFlags> = async (context, { limit, cursor }) => {
  const client = await context.connect()
  const page = definedOf({ limit: parseInteger('--limit', limit, 1, 500), cursor })
  const answer = await callIfThere(client, PATH, 'replays', () => client.replays.list(page))
  const { replays } = answer
  await context.out.show({
    data: answer,
    table: (paint) => formatRecords(replays, COLUMNS, paint),
    names: () => replays.map(({ id }) => id),
  })
}

const act =
  (operation: ReplayOperation | 'get'): Run =>
  async (context) => {
    const id = context.args[0] as string
    const client = await context.connect()
    const path = operation === 'get' ? `${PATH}/{id}` : `${PATH}/{id}/${operation}`
    const replay = await callIfThere(client, path, 'replays', () =>
      operation === 'get' ? client.replays.get(id) : client.replays.operate(id, operation),
    )
    await showReplay(context, replay)
  }

export const replayCommands = {
  get: act('get'),
  pause: act('pause'),
  resume: act('resume'),
  cancel: act('cancel'),
}
