import { AsyncLocalStorage } from 'node:async_hooks'

/** What every line names when it is known. Read when a line is written: members may be accessors. */
export type LogContext = {
  readonly tenant?: string
  readonly job?: string
  readonly run?: number
  readonly correlation?: string
  readonly stage?: string
  readonly step?: string
  readonly item?: string
  readonly attempt?: number
  readonly request?: string
  /** Names trace and span where no span is active: the trace is not recorded, or not here. */
  readonly traceparent?: string
}

const storage = new AsyncLocalStorage<LogContext>()

/** Runs `fn` so that every line logged in it, however deep and late, carries `context` too. */
export function withLogContext<T>(context: LogContext, fn: () => T): T {
  const outer = storage.getStore()
  const isNew = outer === undefined || outer === context
  return storage.run(isNew ? context : { ...outer, ...context }, fn)
}

export function currentLogContext(): LogContext | undefined {
  return storage.getStore()
}
