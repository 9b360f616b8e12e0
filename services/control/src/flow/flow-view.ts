import { LANES } from '@weir/contracts'
import { findBottleneck, type Gates } from '@weir/core'
import { type Static, Type } from 'typebox'
import { nullable, oneOf, time } from '../http/schemas.ts'
import type { DispatcherFigures } from './dispatcher-figures.ts'
import type { RefusalCounts } from './refusals.ts'

const figure = nullable(Type.Number())

export const flowStageSchema = Type.Object({
  stage: Type.String(),
  lane: oneOf(LANES),
  state: oneOf(['open', 'throttled', 'closed', 'unknown']),
  lag: nullable(Type.Integer({ description: 'Records that are not finished' })),
  lagMs: nullable(Type.Integer({ description: 'Their time at the drain rate' })),
  oldestAgeMs: nullable(Type.Integer({ description: 'Of the oldest of them' })),
  drainRate: figure,
  inFlight: nullable(Type.Integer({ description: 'Slots held at the stage, over its lanes' })),
  inFlightLimit: Type.Integer(),
  reason: nullable(Type.String()),
  since: time,
  seq: Type.Integer(),
})

export const flowSchema = Type.Object(
  {
    at: time,
    stages: Type.Array(flowStageSchema),
    queue: Type.Object({
      queued: nullable(Type.Integer()),
      oldestAgeMs: nullable(Type.Integer()),
    }),
    bottleneck: nullable(Type.Object({ stage: Type.String(), why: Type.String() })),
    refused: Type.Object(
      { tenant: Type.Integer(), platform: Type.Integer(), since: time },
      { description: 'Answers 429 of this instance, by who is the cause' },
    ),
  },
  {
    description:
      'Null is what is not known or, for a tenant, not shown: what the figures of a stage tell of others.',
  },
)

export type Flow = Static<typeof flowSchema>
export type Queue = Flow['queue']

export type FlowSources = {
  readonly gates: Gates
  readonly dispatcher: DispatcherFigures
}

/** Gates are for everybody; how much waits behind them tells of all tenants: for operators. */
export function showFlow(
  { gates, dispatcher }: FlowSources,
  queue: Queue,
  refused: RefusalCounts & { readonly since: number },
  canSeeLoad: boolean,
): Flow {
  const held = dispatcher.get()?.held
  const stages = gates.all().map(({ record, state }) => {
    const isKnown = canSeeLoad && state !== 'unknown'
    return {
      stage: record.stage,
      lane: record.lane,
      state,
      lag: isKnown ? record.lag : null,
      lagMs: isKnown ? record.lagMs : null,
      oldestAgeMs: isKnown ? record.oldestAgeMs : null,
      drainRate: isKnown ? record.drainRate : null,
      inFlight: canSeeLoad && held !== undefined ? (held[record.stage] ?? 0) : null,
      inFlightLimit: record.inFlightLimit,
      reason: state === 'unknown' ? 'not_measured' : record.reason || null,
      since: new Date(record.since).toISOString(),
      seq: record.seq,
    }
  })
  return {
    at: new Date().toISOString(),
    stages,
    queue,
    bottleneck: findBottleneck(stages, queue.queued) ?? null,
    refused: { ...refused, since: new Date(refused.since).toISOString() },
  }
}
