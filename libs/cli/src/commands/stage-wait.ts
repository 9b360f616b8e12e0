import { setTimeout as pause } from 'node:timers/promises'
import { ClientError, type Stage } from '@weir/client'
import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure } from '../failure.ts'
import { parseInteger } from '../pairs.ts'
import { describeStage } from './get.ts'

type WaitFlags = {
  readonly stageVersion?: string
  readonly instances?: string
  readonly timeout?: string
}

const POLL_MS = 250
const TIMEOUT_MS = 60_000

/** Waits until so many instances of a stage take messages: the step of a rollout that can fail. */
export const waitForStage: Run<WaitFlags> = async (context, flags) => {
  const { io, args, out, say } = context
  const ref = args[0] as string
  const version = flags.stageVersion
  const wanted = parseInteger('--instances', flags.instances, 1, 1_000) ?? 1
  const timeoutMs = parseInteger('--timeout', flags.timeout, 1, 2_147_483_647) ?? TIMEOUT_MS
  const { stages } = await context.connect()
  const endsAt = performance.now() + timeoutMs
  for (;;) {
    const stage = await stages.get(ref).catch(whereItIsNotThere)
    const found = stage === undefined ? 0 : countAtWork(stage, version)
    if (stage !== undefined && found >= wanted) {
      await out.show({ data: stage, table: () => describeStage(stage), names: () => [ref] })
      return exitCodes.ok
    }
    const refused = stage?.contracts.find((one) => one.version === version && !one.accepted)
    if (refused !== undefined) {
      const init = { exitCode: exitCodes.conflict, code: 'contract_incompatible' }
      throw new Failure(`${ref} ${version} was refused: ${refused.reason}`, init)
    }
    if (performance.now() >= endsAt) {
      const what = version === undefined ? ref : `${ref} ${version}`
      say(`after ${timeoutMs} ms ${found} of ${wanted} instances of ${what} are at work`)
      return exitCodes.timedOut
    }
    await pause(POLL_MS, undefined, { signal: io.signal })
  }
}

/** Whoever waits for a rollout may be faster than the registration. */
function whereItIsNotThere(error: unknown): undefined {
  if (ClientError.is(error) && error.code === 'not_found') return undefined
  throw error
}

/** At work is who has partitions, or cannot have any because there are fewer than instances. */
function countAtWork({ instances, partitions, lanes }: Stage, version: string | undefined): number {
  const active = instances.filter(({ state }) => state === 'active')
  const hasTooMany = active.length > partitions * lanes.length
  return active.filter(
    (one) =>
      (version === undefined || one.version === version) &&
      (hasTooMany || one.partitions.length > 0),
  ).length
}
