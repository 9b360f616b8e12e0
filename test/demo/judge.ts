import { canonicalJson } from '@weir/contracts'
import type { Delivery } from './receiver.ts'

/** What came of the demo; each number but the first two must be 0. */
export type Verdict = {
  readonly days: number
  readonly sameLines: number
  readonly differentLines: number
  /** Days without a completed job. */
  readonly lost: number
  /** Days with more than one line. */
  readonly duplicated: number
  /** Days that reached the receiver under more than one key. */
  readonly publishedTwice: number
  /** Days that did not reach the receiver, or other than the reference says. */
  readonly notPublished: number
}

/** What is looked at of a job. */
type EndedJob = {
  readonly status: string
  readonly steps: Readonly<Record<string, { readonly output?: unknown }>>
  readonly result: unknown
}

type Evidence = {
  /** Lines of the independent program, one per day. */
  readonly reference: readonly string[]
  readonly jobs: readonly EndedJob[]
  readonly deliveries: Iterable<Delivery>
}

/** Compares what the jobs and the receiver have with what the independent program says. */
export function judge({ reference, jobs, deliveries }: Evidence): Verdict {
  const lines = jobs
    .filter(({ status }) => status === 'completed')
    .map((job) => canonicalJson(publishedOf(job)))
  const published = [...deliveries].map(({ body }) => canonicalJson(JSON.parse(body)))
  const count = (wanted: (line: string) => boolean) => reference.filter(wanted).length
  const times = (of: readonly string[], line: string) =>
    of.filter((other) => dateOf(other) === dateOf(line)).length
  const sameLines = count((line) => lines.includes(line))
  return {
    days: reference.length,
    sameLines,
    differentLines: lines.filter((line) => !reference.includes(line)).length,
    lost: count((line) => times(lines, line) === 0),
    duplicated: count((line) => times(lines, line) > 1),
    publishedTwice: count((line) => times(published, line) > 1),
    notPublished: count((line) => !published.includes(line)),
  }
}

export function isAsItMustBe(verdict: Verdict): boolean {
  const { days, sameLines, differentLines, lost, duplicated, publishedTwice, notPublished } =
    verdict
  return (
    days > 0 &&
    sameLines === days &&
    [differentLines, lost, duplicated, publishedTwice, notPublished].every((n) => n === 0)
  )
}

/** The output of the step `publish`, one of two leafs. */
export function publishedOf(job: Pick<EndedJob, 'steps' | 'result'>): unknown {
  return job.steps.publish?.output ?? (job.result as { publish?: unknown } | null)?.publish ?? null
}

function dateOf(line: string): unknown {
  const row = JSON.parse(line) as { date?: unknown } | null
  return row?.date
}
