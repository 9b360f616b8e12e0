import { setTimeout as pause } from 'node:timers/promises'
import { type BatchJob, type Client, ClientError, type JobRequest } from '@weir/client'
import type { Context } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, toFailure, usage } from '../failure.ts'
import { createProgress } from '../output/progress.ts'
import { type Line, readLines } from '../read-lines.ts'
import type { SubmitFlags } from './submit.ts'

const BATCH_JOBS = 1_000
const BATCH_BYTES = 8 * 1024 * 1024
/** After this long without a single accepted job the server will not take them today. */
const STALL_MS = 15 * 60_000
const WAIT_MAX_MS = 60_000
const PROBE_MS = 1_000

type Entry = { readonly line: number; readonly job: BatchJob; readonly bytes: number }

/**
 * Submits the lines of an NDJSON source in order. A batch is accepted as a whole or not at all, so
 * a refused one can be sent again: smaller, since what the quota has no room for in one piece it may
 * take in two.
 */
export async function submitMany(
  context: Context,
  pipeline: string,
  flags: SubmitFlags,
  common: Omit<JobRequest, 'input'>,
): Promise<number> {
  const { io, out } = context
  // What a busy server asks for is done here: a smaller batch, not the same one again.
  const client = await context.connect({ retry: { attempts: 1 } })
  const progress = createProgress(io, 'submitted')
  const ids: string[] = []
  let accepted = 0
  const send = async (entries: readonly Entry[]): Promise<void> => {
    for await (const batch of sendInPieces(client, pipeline, entries, io.signal, progress.note)) {
      accepted += batch.accepted
      if (flags.count !== true) {
        if (out.format === 'json' || out.format === 'yaml') ids.push(...batch.ids)
        else out.line(batch.ids.join('\n'))
      }
      progress.advance(accepted)
    }
  }
  let failure: unknown
  try {
    let entries: Entry[] = []
    let bytes = 0
    for await (const line of readLines(io, flags.ndjson as string)) {
      // A source that pauses gets its lines submitted as they come.
      const entry = line === null ? undefined : toEntry(line, flags, common)
      const isFull =
        entries.length === BATCH_JOBS || (entry !== undefined && bytes + entry.bytes > BATCH_BYTES)
      if (entries.length > 0 && (entry === undefined || isFull)) {
        await send(entries)
        entries = []
        bytes = 0
      }
      if (entry === undefined) continue
      entries.push(entry)
      bytes += entry.bytes
    }
    if (entries.length > 0) await send(entries)
  } catch (error) {
    failure = error
  }
  progress.end(accepted)
  if (out.format === 'json' || out.format === 'yaml') {
    const data = flags.count === true ? { accepted } : { accepted, ids }
    await out.show({ data, table: () => '', names: () => [] })
  } else if (flags.count === true) {
    out.line(String(accepted))
  }
  if (failure === undefined) return 0
  if (accepted === 0 || io.signal.aborted) throw failure
  const { message, hint, code } = toFailure(failure)
  const exitCode = exitCodes.partial
  throw new Failure(`${accepted} jobs were accepted, then: ${message}`, { exitCode, code, hint })
}

/** Gives each accepted piece; throws where the server refuses for another reason than load. */
async function* sendInPieces(
  client: Client,
  pipeline: string,
  entries: readonly Entry[],
  signal: AbortSignal,
  note: (text: string) => void,
) {
  let size = entries.length
  let stalledSince: number | undefined
  for (let at = 0; at < entries.length; ) {
    const piece = entries.slice(at, at + size)
    try {
      yield await client.jobs.submitBatch(
        pipeline,
        piece.map(({ job }) => job),
      )
      at += piece.length
      size = Math.min(entries.length, size * 2)
      stalledSince = undefined
    } catch (error) {
      if (!ClientError.is(error)) throw error
      // 429 alone says that nothing of the batch was taken; all else may have been, which only keys
      // make harmless.
      const hasKeys = piece.every(({ job }) => job.idempotencyKey !== undefined)
      const isBusy = error.status === 429 || (error.status === 503 && hasKeys)
      if (!isBusy) throw nameLines(error, piece)
      const now = performance.now()
      stalledSince ??= now
      if (now - stalledSince > STALL_MS) throw error
      const waitMs = waitAfter(error, piece.length)
      note(`${error.code}, going on in ${Math.ceil(waitMs / 1_000)} s`)
      size = Math.max(1, Math.floor(piece.length / 2))
      await pause(waitMs, undefined, { signal })
    }
  }
}

/**
 * What the server asks for is meant for the batch as it was. Where a quota has no room for all of
 * it, the half of it is worth a try soon: there may be room for that now.
 */
function waitAfter({ code, retryAfterS = 1 }: ClientError, jobs: number): number {
  const isWorthATry = code === 'quota_exceeded' && jobs > 1
  return Math.min(isWorthATry ? PROBE_MS : WAIT_MAX_MS, retryAfterS * 1_000)
}

/** `/jobs/3/input` of a batch means nothing to who wrote lines. */
function nameLines(error: ClientError, piece: readonly Entry[]): unknown {
  if (error.errors.length === 0) return error
  const faults = error.errors.slice(0, 20).map(({ path, message, code }) => {
    const [, index, rest] = /^\/jobs\/(\d+)(.*)$/.exec(path) ?? []
    const line = index === undefined ? undefined : piece[Number(index)]?.line
    return `\n  ${line === undefined ? path : `line ${line} ${rest}`}: ${message} (${code})`
  })
  const { exitCode, code, hint } = toFailure(error)
  return new Failure(`${error.message}${faults.join('')}`, { exitCode, code, hint, cause: error })
}

function toEntry(
  { number, text }: Line,
  flags: SubmitFlags,
  common: Omit<JobRequest, 'input'>,
): Entry {
  const value = parse(number, text)
  const given = flags.raw === true ? { input: value } : toJob(number, value)
  const key = flags.idempotencyKey
  const idempotencyKey =
    given.idempotencyKey ?? (key === undefined ? undefined : `${key}:${number}`)
  const job = {
    ...common,
    ...given,
    ...(common.tags === undefined ? {} : { tags: { ...common.tags, ...given.tags } }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  }
  return { line: number, job, bytes: Buffer.byteLength(text) + 512 }
}

function parse(number: number, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw usage(`line ${number} is no JSON: ${(error as Error).message}`)
  }
}

function toJob(number: number, value: unknown): BatchJob {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (isObject && 'input' in value) return value as BatchJob
  throw usage(`line ${number} has no "input"`, 'if each line is an input itself: --raw')
}
