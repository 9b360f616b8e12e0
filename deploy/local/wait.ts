import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Polls until `condition` answers true. Resolves to false when `timeoutMs` have passed; a condition
 * that throws counts as not yet.
 */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { readonly timeoutMs: number; readonly intervalMs?: number },
): Promise<boolean> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    if (
      await Promise.resolve()
        .then(condition)
        .catch(() => false)
    )
      return true
    if (performance.now() >= deadline) return false
    await sleep(options.intervalMs ?? 50)
  }
}
