import assert from 'node:assert/strict'
import type { Topics } from '@weir/contracts'
import { act } from './act-step.ts'
import type { Client, Job } from './api-client.ts'
import type { ExportedSpan } from './otlp-protobuf.ts'
import { type SpanTree, treeOf } from './span-tree.ts'

/*
 * A job with a fan-out, a gather, a route, two joins and a retry, and what its trace has to look like
 * wherever it is read: from the processes' exports or from a Jaeger.
 */

/** Processes that the pipeline needs. */
export const tracedStages = [
  { name: 'act' },
  { name: 'other', file: 'act' },
  { name: 'route' },
] as const

const other = { stage: 'other@1' }

const traced = {
  steps: {
    split: act('range', { config: { n: 3 } }),
    copy: act('who', other),
    choose: { stage: 'route@1' },
    each: act('double', { ...other, after: [{ step: 'split', each: true }] }),
    all: act('sum', { after: [{ step: 'each', gather: true }] }),
    taken: act('echo', { after: [{ step: 'choose', when: 'taken' }] }),
    left: act('echo', { after: [{ step: 'choose', when: 'left' }] }),
    met: act('join', { ...other, after: ['taken', 'left'] }),
    both: act('join', { after: ['all', 'copy', 'met'] }),
    last: act('flaky', { after: ['both'], retry: { attempts: 2, baseMs: 50 } }),
  },
}

export const tracedInput = { to: ['taken'], value: 5 }

/** First messages; elements of `split`; what each gives on; one of each other step but the last. */
const SENDS = 3 + 3 + 3 + ['copy', 'choose', 'choose', 'all', 'taken', 'left', 'met', 'both'].length
/** Attempts of tasks: those of `each`, two of `last`, one of each other step that runs. */
const ATTEMPTS = 3 + 2 + ['split', 'copy', 'choose', 'all', 'taken', 'met', 'both'].length

/** Spans of the trace: the request's, and the ledger's, are two more. */
export const TRACED_SPANS = 1 + SENDS + ATTEMPTS + 1

export async function publishTraced(client: Client): Promise<void> {
  await client.publish('traced', traced)
}

export type TracedRun = {
  readonly job: Job
  readonly tenant: string
  readonly topics: Topics
  /** The span that the caller has named as parent. */
  readonly caller?: string
}

const sentTo = ({ attributes }: ExportedSpan) => attributes['messaging.destination.name']

/** Names, kinds, parents, links, attributes and attempts of the whole trace. */
export function checkTracedTree(spans: readonly ExportedSpan[], run: TracedRun): void {
  const tree = treeOf(spans, run.caller)
  assert.equal(spans.length, TRACED_SPANS)
  checkChain(spans, tree, run)
  checkIdentity(spans, run)
  checkJoins(spans, tree)
  checkAttempts(tree)
}

/** Server, send, process, and so on to the ledger. */
function checkChain(spans: readonly ExportedSpan[], tree: SpanTree, { topics }: TracedRun): void {
  const { root } = tree
  assert.deepEqual(
    [root.kind, root.name, root.service],
    ['SERVER', 'POST /v1/pipelines/:name/jobs', 'control'],
  )
  const of = (kind: string) => spans.filter((span) => span.kind === kind)
  const [processes, sends] = [of('CONSUMER'), of('PRODUCER')]
  assert.deepEqual([processes.length, sends.length], [ATTEMPTS + 1, SENDS])
  for (const span of sends) assert.equal(span.name, `send ${sentTo(span)}`)
  const first = tree.childrenOf(root)
  assert.deepEqual(
    first.map(({ service }) => service),
    Array(3).fill('dispatcher'),
  )
  for (const span of processes) {
    assert.equal(span.name, `process ${sentTo(span)}`)
    const parent = tree.parentOf(span)
    if (sentTo(span) === topics.events) {
      assert.deepEqual([span.service, parent?.kind], ['ledger', 'CONSUMER'])
      assert.equal(span.attributes['weir.job.status'], 'completed')
      continue
    }
    assert.deepEqual([parent?.kind, parent && sentTo(parent)], ['PRODUCER', sentTo(span)])
    assert.equal(span.service, `stage-${String(span.attributes['weir.stage']).split('@')[0]}`)
    assert.ok(Number(span.attributes['weir.queue.wait_ms']) >= 0)
  }
}

function checkIdentity(spans: readonly ExportedSpan[], { job, tenant }: TracedRun): void {
  for (const { kind, attributes } of spans) {
    assert.equal(attributes['weir.job.id'], job.id)
    assert.equal(attributes['weir.tenant.id'], tenant)
    if (kind === 'SERVER') continue
    assert.equal(attributes['messaging.system'], 'kafka')
    assert.equal(attributes['messaging.message.conversation_id'], job.correlationId)
  }
}

/** A join is the child of the part that completed it and links to all others. */
function checkJoins(spans: readonly ExportedSpan[], tree: SpanTree): void {
  const sources = (step: string) =>
    tree
      .attemptsOf(step)
      .map((span) =>
        [...span.links.map(({ spanId }) => tree.byId(spanId)), tree.parentOf(span)]
          .map((send) => String(send?.attributes['weir.step']))
          .sort(),
      )
  assert.deepEqual(sources('all'), [['each', 'each', 'each']])
  assert.deepEqual(sources('met'), [['left', 'taken']])
  assert.deepEqual(sources('both'), [['all', 'copy', 'met']])
  const linked = spans.filter(({ links }) => links.length > 0)
  assert.deepEqual(linked.map(({ attributes }) => attributes['weir.step']).sort(), [
    'all',
    'both',
    'met',
  ])
  assert.deepEqual(tree.attemptsOf('left'), [])
}

/** Attempts of a task are siblings, the failed one marked as an error. */
function checkAttempts(tree: SpanTree): void {
  const [failed, ok] = tree.attemptsOf('last')
  assert.equal(failed?.parentId, ok?.parentId)
  assert.deepEqual(
    [failed, ok].map((span) => [span?.attributes['weir.attempt'], span?.isError]),
    [
      [1, true],
      [2, false],
    ],
  )
  assert.equal(failed?.attributes['error.type'], 'flaky')
}

/** The trace of a job whose only step, `only`, fails for good. */
export function checkDoomedTree(spans: readonly ExportedSpan[], { job, topics }: TracedRun): void {
  const tree = treeOf(spans)
  assert.deepEqual(
    spans.map(({ kind, name, isError }) => [kind, name.split(' ')[0], isError]).sort(),
    [
      ['CONSUMER', 'process', false],
      ['CONSUMER', 'process', true],
      ['PRODUCER', 'send', false],
      ['PRODUCER', 'send', true],
      ['SERVER', 'POST', false],
    ],
  )
  const [attempt] = tree.attemptsOf('only')
  assert.ok(attempt?.isError)
  const letter = tree.childrenOf(attempt).find((span) => sentTo(span) === topics.deadLetters)
  assert.deepEqual(
    [letter?.isError, letter?.attributes['error.type'], letter?.attributes['weir.job.id']],
    [true, 'broken', job.id],
  )
}
