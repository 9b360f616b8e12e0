import { type CancelRequest, listCancelling, type Pool } from '@weir/postgres'
import type { Logger } from '@weir/runtime'

/** A hint that is lost costs a cancel this long. */
const SWEEP_MS = 500
const PAGE = 1_000

/**
 * Finds the runs that are to be cancelled: at once when told, and now and then, because what stands
 * in Postgres is the request and the hint only says that it is there.
 */
export type CancelSweep = {
  /** There may be new ones. */
  hint(): void
  stop(): Promise<void>
}

export type CancelSweepOptions = {
  readonly pool: Pool
  readonly log: Logger
  /** All that are there now, those too that were found before. */
  readonly onFound: (requests: readonly CancelRequest[]) => void
}

export function createCancelSweep({ pool, log, onFound }: CancelSweepOptions): CancelSweep {
  let isLooking = false
  let isHinted = false
  let looked: Promise<void> = Promise.resolve()

  const look = async () => {
    const found: CancelRequest[] = []
    for (;;) {
      const page = await listCancelling(pool, PAGE, found.at(-1))
      found.push(...page)
      if (page.length < PAGE) break
    }
    if (found.length > 0) onFound(found)
  }

  /** One look at a time; a hint that comes during one is for the next. */
  const lookWhileHinted = async () => {
    isLooking = true
    while (isHinted) {
      isHinted = false
      await look().catch((error: unknown) => log.warn({ err: error }, 'the cancel sweep failed'))
    }
    isLooking = false
  }

  const hint = () => {
    isHinted = true
    if (!isLooking) looked = lookWhileHinted()
  }
  const timer = setInterval(hint, SWEEP_MS)
  timer.unref()

  return {
    hint,
    async stop() {
      clearInterval(timer)
      await looked
    },
  }
}
