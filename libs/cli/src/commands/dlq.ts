import type { DeadLetterFilter, DeadLetterPick } from '@weir/client'
import { confirm } from '../confirm.ts'
import type { Context, Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { usage } from '../failure.ts'
import { callIfThere } from '../missing.ts'
import { formatRecord, formatRecords } from '../output/record-table.ts'
import { parseInteger } from '../pairs.ts'
import { replayScope } from './replay.ts'

const PATH = '/v1/dead-letters'
const WHAT = 'dead letters'

type Filters = {
  readonly stage?: string
  readonly pipeline?: string
  readonly step?: string
  readonly code?: string
  readonly fingerprint?: string
  readonly status?: 'open' | 'redriven' | 'discarded'
  readonly from?: string
  readonly to?: string
}
type ListFlags = Filters & { readonly limit?: string; readonly cursor?: string }
type ActFlags = Filters & {
  readonly because?: string
  readonly rate?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

const filterOf = ({ stage, pipeline, step, code, fingerprint, status, from, to }: Filters) =>
  definedOf({ stage, pipeline, step, code, fingerprint, status, from, to }) as DeadLetterFilter

export const listLetters: Run<ListFlags> = async (context, flags) => {
  const client = await context.connect()
  const page = definedOf({
    limit: parseInteger('--limit', flags.limit, 1, 500),
    cursor: flags.cursor,
  })
  const answer = await callIfThere(client, PATH, WHAT, () =>
    client.deadLetters.list({ ...filterOf(flags), ...page }),
  )
  const columns = ['id', 'job', 'step', 'item', 'status', 'failedAt']
  await context.out.show({
    data: answer,
    table: (paint) => formatRecords(answer.deadLetters, columns, paint),
    names: () => answer.deadLetters.map(({ id }) => id),
  })
}

export const getLetter: Run = async (context) => {
  const client = await context.connect()
  const letter = await callIfThere(client, `${PATH}/{id}`, WHAT, () =>
    client.deadLetters.get(context.args[0] as string),
  )
  await context.out.show({
    data: letter,
    table: () => formatRecord(letter),
    names: () => [letter.id],
  })
}

export const groupLetters: Run<Filters> = async (context, flags) => {
  const client = await context.connect()
  const answer = await callIfThere(client, `${PATH}/groups`, WHAT, () =>
    client.deadLetters.groups(filterOf(flags)),
  )
  const columns = ['fingerprint', 'count', 'firstSeenAt', 'lastSeenAt']
  await context.out.show({
    data: answer,
    table: (paint) => formatRecords(answer.groups, columns, paint),
    names: () => answer.groups.map(({ fingerprint }) => fingerprint),
  })
}

export const redriveLetters: Run<ActFlags> = (context, flags) =>
  replayScope(context, { deadLetters: pickOf(context, flags) }, flags)

export const discardLetters: Run<ActFlags> = async (context, flags) => {
  const { because } = flags
  const pick = pickOf(context, flags)
  if (because === undefined) throw usage('--because is needed: why are they put aside?')
  await confirm(context, 'Discarded dead letters cannot be run again.', flags.yes)
  const client = await context.connect()
  const answer = await callIfThere(client, `${PATH}/discard`, WHAT, () =>
    client.deadLetters.discard(pick, because),
  )
  await context.out.show({ data: answer, table: () => formatRecord(answer), names: () => [] })
}

function pickOf(context: Context, flags: ActFlags): DeadLetterPick {
  const ids = context.args.filter((id) => id !== undefined)
  const filter = filterOf(flags)
  const hasFilter = Object.keys(filter).length > 0
  if (ids.length > 0 && hasFilter) throw usage('name them either by their ids or by a filter')
  if (ids.length > 0) return { ids }
  if (hasFilter) return { filter }
  throw usage('which ones? Give ids or a filter', 'what is there: weir dlq list')
}
