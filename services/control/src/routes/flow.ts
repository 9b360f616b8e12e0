import { WeirError } from '@weir/contracts'
import { asTenant, getQueueState } from '@weir/postgres'
import type { Control } from '../control.ts'
import { streamFlow } from '../flow/flow-stream.ts'
import { flowSchema, type Queue, showFlow } from '../flow/flow-view.ts'
import { callerOf } from '../http/caller-of.ts'
import { whenGone } from '../http/gone.ts'
import type { App, Request } from '../http/type-provider.ts'

const STREAMS_MAX = 256

/** How full the stages are, and what waits before the door. */
export function addFlowRoutes(app: App, control: Control): void {
  let streams = 0

  /** A tenant's own; of all together for an operator who is inside of none. */
  const queueOf = async (tenant: string | undefined): Promise<Queue> => {
    if (tenant === undefined) {
      return control.dispatcher.get()?.queue ?? { queued: null, oldestAgeMs: null }
    }
    const { queued, oldestAgeMs } = await getQueueState(asTenant(control.pool, tenant), tenant)
    return { queued, oldestAgeMs: oldestAgeMs ?? 0 }
  }

  const load = async (request: Request) => {
    const { role, tenant } = callerOf(request)
    const { refusals } = control
    const refused = { ...refusals.of(tenant?.id), since: refusals.since }
    return showFlow(control, await queueOf(tenant?.id), refused, role === 'operator')
  }

  app.route({
    method: 'GET',
    url: '/v1/flow',
    config: { permission: 'flow:read' },
    schema: {
      summary: 'Gates and levels of all stages; a tenant sees the gates and its own queue',
      response: { 200: flowSchema },
    },
    handler: load,
  })

  app.route({
    method: 'GET',
    url: '/v1/flow/stream',
    config: { permission: 'flow:read' },
    schema: {
      summary: 'The same as text/event-stream: an event `flow` whenever something has changed',
      response: {
        200: {
          description: 'Events `flow`, each with the answer of /v1/flow as its data',
          content: { 'text/event-stream': { schema: { type: 'string' } } },
        },
      },
    },
    handler: async (request, reply) => {
      if (streams >= STREAMS_MAX) {
        throw new WeirError('unavailable', 'Too many streams are open.', { retryAfterS: 5 })
      }
      streams += 1
      try {
        return await streamFlow(reply, whenGone(reply, control.closing), () => load(request))
      } finally {
        streams -= 1
      }
    },
  })
}
