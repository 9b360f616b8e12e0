import { type Attributes, type Span, SpanKind } from '@opentelemetry/api'
import type { Envelope, TaskError } from '@weir/contracts'
import type { Task } from '@weir/core'
import { failSpan, isSampled, startSpan, traceparentOf } from '@weir/runtime'

/** Messages of one result that get a span of their own; the rest share one. */
const SEND_SPANS_MAX = 100

/** Spans that the results of a message have had, over all instalments. */
const sendSpansOf = new WeakMap<Envelope, number>()

const identity = ({ job, tenant, correlation, meta }: Envelope): Attributes => ({
  'messaging.system': 'kafka',
  'messaging.message.conversation_id': correlation,
  'weir.tenant.id': tenant,
  'weir.job.id': job,
  'weir.run': meta.run,
  'weir.step': meta.step,
  ...(meta.item !== '' && { 'weir.item': meta.item }),
})

/**
 * The span of one attempt of a task, child of its message's context; undefined where the trace is
 * not sampled: then no span work is done at all.
 */
export function startProcessSpan(
  task: Task,
  stage: { readonly ref: string; readonly kind: string },
  from: { readonly topic: string; readonly partition: number; readonly group: string },
  waitMs: number,
  links: readonly string[],
): Span | undefined {
  const { envelope } = task
  if (!isSampled(envelope.traceparent)) return undefined
  return startSpan(`process ${from.topic}`, {
    kind: SpanKind.CONSUMER,
    parent: envelope.traceparent,
    links,
    attributes: {
      ...identity(envelope),
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': from.topic,
      'messaging.destination.partition.id': String(from.partition),
      'messaging.consumer.group.name': from.group,
      'messaging.kafka.offset': task.offset,
      'messaging.message.id': task.id,
      'weir.pipeline': task.plan.pipeline,
      'weir.stage': stage.ref,
      'weir.stage.kind': stage.kind,
      'weir.attempt': task.attempt,
      'weir.queue.wait_ms': waitMs,
    },
  })
}

export function endProcessSpan(span: Span, status: string, error: TaskError | undefined): void {
  span.setAttribute('weir.outcome', status)
  if (error !== undefined) failSpan(span, error, error.code)
  span.end()
}

/** The span of a dead letter, an error from its start; undefined where the trace is not sampled. */
export function startLetterSpan(
  source: Envelope,
  parent: string,
  topic: string,
  error: TaskError,
): Span | undefined {
  if (!isSampled(parent)) return undefined
  const span = startSpan(`send ${topic}`, {
    kind: SpanKind.PRODUCER,
    parent,
    attributes: {
      ...identity(source),
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.message.id': source.id,
    },
  })
  failSpan(span, error, error.code)
  return span
}

/** The PRODUCER spans of one send command. */
export type SendSpans = {
  /** The context that the next message carries. */
  next(topic: string, id: string): string
  end(error: Error | undefined): void
}

export function openSendSpans(source: Envelope, parent: string, count: number): SendSpans {
  const open: Span[] = []
  let used = sendSpansOf.get(source) ?? 0
  let left = count
  let shared: string | undefined

  const start = (topic: string, more: Attributes): string => {
    const span = startSpan(`send ${topic}`, {
      kind: SpanKind.PRODUCER,
      parent,
      attributes: {
        ...identity(source),
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': topic,
        ...more,
      },
    })
    open.push(span)
    return traceparentOf(span) ?? parent
  }

  return {
    next(topic, id) {
      left -= 1
      if (used < SEND_SPANS_MAX) {
        used += 1
        sendSpansOf.set(source, used)
        return start(topic, { 'messaging.message.id': id })
      }
      shared ??= start(topic, { 'messaging.batch.message_count': left + 1 })
      return shared
    },
    end(error) {
      for (const span of open) {
        if (error !== undefined) failSpan(span, error)
        span.end()
      }
    },
  }
}
