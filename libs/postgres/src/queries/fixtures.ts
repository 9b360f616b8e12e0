import { newUuid } from '@weir/contracts'
import type { NewJob } from './admit.ts'

/** A small job for tests; everything may be said otherwise. */
export function newJob(change: Partial<NewJob> = {}): NewJob {
  return {
    id: newUuid(),
    pipeline: 'delays',
    version: 1,
    planId: 'plan-1',
    priority: 128,
    orderingKey: null,
    correlationId: 'correlation-1',
    traceparent: null,
    tags: [],
    input: '{"rows":[1,2,3]}',
    deadlineMs: null,
    weight: 1,
    idempotencyKey: null,
    bodyHash: null,
    ...change,
  }
}
