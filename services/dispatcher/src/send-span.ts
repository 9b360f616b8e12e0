import { isSampled, startSpan, traceparentOf } from '@weir/runtime'
import type { Dispatchable } from './first-messages.ts'

/**
 * The PRODUCER span of a first message, and the context that the message carries: its span's where
 * the job's trace is recorded, else the job's own.
 */
export function markSend(job: Dispatchable, topic: string, messageId: string): string {
  const parent = job.traceparent ?? ''
  if (!isSampled(parent)) return parent
  const span = startSpan(`send ${topic}`, {
    kind: 3,
    parent,
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.message.id': messageId,
      'messaging.message.conversation_id': job.correlationId,
      'weir.job.id': job.job,
      'weir.tenant.id': job.tenant,
      'weir.run': job.run,
    },
  })
  span.end()
  return traceparentOf(span) ?? parent
}
