import {
  STAGE_OPERATIONS,
  type StageOperation,
  type StageSettings,
  type StageTelemetry,
} from '@weir/client'
import { confirm } from '../confirm.ts'
import type { Context, Run } from '../context.ts'
import { definedOf } from '../defined.ts'
import { usage } from '../failure.ts'
import { formatMs } from '../output/format-time.ts'
import type { Paint } from '../output/paint.ts'
import { formatRecord } from '../output/record-table.ts'
import { formatTable } from '../output/table.ts'
import { parseInteger, parsePairs } from '../pairs.ts'
import { parseDocument, readDocument } from '../read-documents.ts'
import { keepKey, reserveKeyFile } from '../save-key.ts'

type RegisterFlags = {
  readonly file?: string
  readonly from?: string
  readonly kind?: StageSettings['kind']
  readonly partitions?: string
  readonly lane?: StageSettings['lanes']
  readonly inFlightMax?: string
  readonly targetDelay?: string
  readonly autoActivate?: boolean
  readonly image?: string
  readonly env?: readonly string[]
  readonly replicas?: string
  readonly saveKey?: string
}

const refOf = ({ args }: Context): string => args[0] as string

export const registerStage: Run<RegisterFlags> = async (context, flags) => {
  const settings = await settingsOf(context, flags, refOf(context))
  const client = await context.connect()
  const file = reserveKeyFile(context, flags.saveKey)
  const stage = await client.stages.register(refOf(context), settings)
  const shown = keepKey(context, file, stage, 'stageKey')
  const { instances: _, contracts: __, ...head } = shown
  await context.out.show({
    data: shown,
    table: () => formatRecord(head),
    names: () => [stage.ref],
  })
}

async function settingsOf(
  { io }: Context,
  flags: RegisterFlags,
  ref: string,
): Promise<StageSettings> {
  const { file, kind, lane, autoActivate, image } = flags
  const base = file === undefined ? {} : await parseDocument(await readDocument(io, file, 'stage'))
  if (typeof base !== 'object' || base === null || Array.isArray(base)) {
    throw usage(`${file} holds no settings of a stage`)
  }
  const source = flags.from === undefined ? undefined : await readSource(io.cwd, flags.from, ref)
  const own = definedOf({
    ...source,
    kind: kind ?? source?.kind,
    lanes: lane,
    image,
    partitions: parseInteger('--partitions', flags.partitions, 1, 1_000),
    inFlightMax: parseInteger('--in-flight-max', flags.inFlightMax, 1, 1_000_000),
    targetDelayMs: parseInteger('--target-delay', flags.targetDelay, 10, 3_600_000),
    env: flags.env && parsePairs('--env', flags.env),
    replicas: flags.replicas === undefined ? undefined : parseReplicas(flags.replicas),
    // Without the flag its default is true, which is not something that was said.
    autoActivate: autoActivate === false ? false : undefined,
  })
  return { ...base, ...own } as StageSettings
}

/** Kind and contracts as the source has them. */
async function readSource(cwd: string, from: string, ref: string) {
  const { findStageFolder, loadStage } = await import('../load-stage.ts')
  const stage = await loadStage(findStageFolder(cwd, from))
  if (stage.ref === ref) return { kind: stage.kind, contract: stage.contract }
  throw usage(`${from} is ${stage.ref} (version ${stage.version}), not ${ref}`)
}

function parseReplicas(text: string): { min: number; max: number } {
  const [, min, max] = /^(\d{1,4}):(\d{1,4})$/.exec(text) ?? []
  if (min === undefined || Number(min) > Number(max)) {
    throw usage(`--replicas takes min:max, not "${text}"`)
  }
  return { min: Number(min), max: Number(max) }
}

export const addStageKey: Run<{ readonly saveKey?: string }> = async (context, { saveKey }) => {
  const client = await context.connect()
  const file = reserveKeyFile(context, saveKey)
  const key = await client.stages.addKey(refOf(context))
  const shown = keepKey(context, file, key, 'stageKey')
  await context.out.show({
    data: shown,
    table: () => formatRecord(shown),
    names: () => [key.keyId],
  })
}

const operate =
  (operation: StageOperation): Run<{ readonly yes?: boolean }> =>
  async (context, { yes }) => {
    const ref = refOf(context)
    if (operation === 'terminate') {
      await confirm(
        context,
        `All instances of ${ref} will end, for every pipeline that uses it.`,
        yes,
      )
    }
    const { stages } = await context.connect()
    const { instances: _, contracts: __, ...head } = await stages.operate(ref, operation)
    await context.out.show({ data: head, table: () => formatRecord(head), names: () => [ref] })
  }

export const stageOperations = Object.fromEntries(
  STAGE_OPERATIONS.map((operation) => [operation, operate(operation)]),
) as Record<StageOperation, Run<{ readonly yes?: boolean }>>

export const showTelemetry: Run = async (context) => {
  const { callIfThere } = await import('../missing.ts')
  const client = await context.connect()
  const figures = await callIfThere(
    client,
    '/v1/stages/{ref}/telemetry',
    'figures of single stages',
    () => client.stages.telemetry(refOf(context)),
  )
  await context.out.show({
    data: figures,
    table: (paint) => formatTelemetry(figures, paint),
    names: () => [],
  })
}

/** Counts a line each, then the durations and the input side by side. */
export function formatTelemetry(figures: StageTelemetry, paint: Paint): string {
  const { waitMs, workMs, input, lastError, ...counts } = figures
  const error = lastError === null ? null : `${lastError.code} at ${lastError.at}`
  const shares = ['min', 'mean', 'p50', 'p95', 'p99', 'max'] as const
  const durations = Object.entries({ wait: waitMs, work: workMs }).map(([name, of]) => [
    name,
    ...shares.map((share) => formatMs(of[share])),
  ])
  const levels = input.map(({ lane, lag, lagMs, oldestAgeMs, drainRate }) => [
    lane,
    lag,
    formatMs(lagMs),
    formatMs(oldestAgeMs),
    drainRate === null ? null : `${Math.round(drainRate * 10) / 10}/s`,
  ])
  return [
    formatRecord({ ...counts, throughput: `${figures.throughput}/s`, lastError: error }),
    '',
    formatTable(['', ...shares.map((share) => share.toUpperCase())], durations, paint),
    '',
    formatTable(['LANE', 'LAG', 'LAG TIME', 'OLDEST', 'DRAIN'], levels, paint),
  ].join('\n')
}
