import { withDeadline } from './deadline.ts'

export type ReadyCheck = {
  readonly name: string
  /** Resolves or returns when the part works; throws, or returns a reason, when it does not. */
  readonly check: () => Promise<undefined | string> | undefined | string
}

export type HealthReport = {
  readonly isReady: boolean
  /** `ok`, or why not, by the name of the part. */
  readonly checks: Readonly<Record<string, string>>
}

export type Health = {
  add(...checks: readonly ReadyCheck[]): void
  /** From now on not ready, whatever the checks say. */
  stop(): void
  report(): Promise<HealthReport>
}

const CHECK_MS = 2000

/** Whether a process can serve. Not ready before the first check is added. */
export function createHealth(): Health {
  const checks: ReadyCheck[] = []
  let isStopping = false
  return {
    add: (...more) => void checks.push(...more),
    stop: () => {
      isStopping = true
    },
    async report() {
      if (isStopping) return { isReady: false, checks: { process: 'stopping' } }
      if (checks.length === 0) return { isReady: false, checks: { process: 'starting' } }
      const answers = await Promise.all(checks.map(async (one) => [one.name, await ask(one)]))
      const report = Object.fromEntries(answers) as Record<string, string>
      return { isReady: Object.values(report).every((state) => state === 'ok'), checks: report }
    },
  }
}

async function ask({ name, check }: ReadyCheck): Promise<string> {
  try {
    return (await withDeadline(Promise.resolve(check()), CHECK_MS, name)) ?? 'ok'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
