import type { ChangeRecord } from '@weir/contracts'

/**
 * Tells the dispatcher that jobs were queued: at most one hint under way, what is queued meanwhile
 * goes into the next. A hint that fails is dropped; the dispatcher looks each 250 ms anyway.
 */
export function createHints(send: (value: string) => Promise<unknown>): (count: number) => void {
  let waiting = 0
  let isSending = false
  async function drain(): Promise<void> {
    isSending = true
    while (waiting > 0) {
      const hint: ChangeRecord = { v: 1, kind: 'queued', count: waiting }
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
