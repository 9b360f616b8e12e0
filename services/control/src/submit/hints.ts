import type { ChangeRecord } from '@weir/contracts'

/**
 * Tells the dispatcher that jobs were queued, or the ledger that runs are to be cancelled: at most
 * one hint under way, what comes meanwhile goes into the next. A hint that fails is dropped; both
 * look by themselves a few times a second.
 */
export function createHints(
  send: (value: string) => Promise<unknown>,
  kind: 'queued' | 'cancelling' = 'queued',
): (count: number) => void {
  let waiting = 0
  let isSending = false
  async function drain(): Promise<void> {
    isSending = true
    while (waiting > 0) {
      const hint: ChangeRecord =
        kind === 'queued'
          ? { v: 1, kind, count: waiting }
          : { v: 1, kind, count: waiting, runs: [] }
      waiting = 0
      await send(JSON.stringify(hint)).catch(() => {})
    }
    isSending = false
  }
  return (count) => {
    waiting += count
    if (!isSending) void drain()
  }
}
