import { AsyncLocalStorage } from 'node:async_hooks'

/** What every line names when it is known. */
export type LogContext = {
  readonly tenant?: string
  readonly job?: string
  readonly run?: number
  readonly correlation?: string
  readonly stage?: string
  readonly step?: string
  readonly attempt?: number
  readonly request?: string
}

const storage = new AsyncLocalStorage<LogContext>()

/** Runs `fn` so that every line logged in it, however deep and late, carries `context` too. */
export function withLogContext<T>(context: LogContext, fn: () => T): T {
  const outer = storage.getStore()
  return storage.run(outer === undefined ? context : { ...outer, ...context }, fn)
}

export function currentLogContext(): LogContext | undefined {
  return storage.getStore()
}
