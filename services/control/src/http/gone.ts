import type { Reply } from './type-provider.ts'

/** Aborts when the client has gone away, or the service stops. */
export function whenGone(reply: Reply, closing: AbortSignal): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  return AbortSignal.any([gone.signal, closing])
}
