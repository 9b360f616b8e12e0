import type { Job, JobStep } from '@weir/client'
import type { Run } from '../context.ts'
import { formatMs } from '../output/format-time.ts'
import { formatError } from '../output/job-text.ts'
import type { Paint } from '../output/paint.ts'
import { stateCell } from '../output/paint.ts'
import { formatTable } from '../output/table.ts'

const BAR_MIN = 16
const BAR_MAX = 80

export const trace: Run = async (context) => {
  const { out } = context
  const { jobs } = await context.connect()
  const job = await jobs.get(context.args[0] as string)
  const { id, traceId, status, runs, links, steps } = job
  await out.show({
    data: { id, traceId, trace: links.trace ?? null, status, runs, steps },
    table: (paint) => drawTrace(job, out.columns, paint),
    names: () => [traceId ?? ''],
  })
}

/** Head and waterfall of a job: from its submit to its end, or to the last that is known. */
export function drawTrace(job: Job, columns: number, paint: Paint, nowMs = Date.now()): string {
  const startMs = Date.parse(job.submittedAt)
  const steps = Object.entries(job.steps)
  const endMs = Math.max(
    startMs + 1,
    job.finishedAt === null ? nowMs : Date.parse(job.finishedAt),
    ...steps.map(([, step]) => Date.parse(step.finishedAt ?? job.submittedAt)),
  )
  const nameWidth = Math.max(...steps.map(([name]) => name.length), 6)
  const width = Math.min(BAR_MAX, Math.max(BAR_MIN, columns - nameWidth - 46))
  const at = (ms: number): number => Math.round(((ms - startMs) / (endMs - startMs)) * width)
  const dispatchedMs = Date.parse(job.dispatchedAt ?? new Date(endMs).toISOString())
  const rows = [
    [
      'queue',
      '',
      `${'░'.repeat(Math.max(0, at(dispatchedMs)))}`,
      formatMs(dispatchedMs - startMs),
      '',
      '',
    ],
    ...steps.map(([name, step]) => [
      name,
      stateCell(step.status),
      drawBar(step, at, endMs),
      formatMs(step.waitMs),
      formatMs(step.workMs),
      step.attempts > 1
        ? `${step.attempts} attempts`
        : step.items
          ? `${step.items.total} items`
          : '',
    ]),
  ]
  const head = [
    `trace  ${job.traceId ?? 'not traced'}`,
    ...(job.links.trace === undefined ? [] : [`link   ${job.links.trace}`]),
    `job    ${job.id}, run ${job.run} of ${job.pipeline} v${job.version}: ${job.status}, ${formatMs(endMs - startMs)}`,
    ...(job.error === null ? [] : [`error  ${formatError(job.error)}`]),
  ]
  const names = ['STEP', 'STATUS', `0${'ms'.padEnd(width - 1)}`, 'WAIT', 'WORK', 'NOTE']
  return [...head, '', formatTable(names, rows, paint)].join('\n')
}

/**
 * Waiting in front of the first start, then from start to end. Of a fan-out it is the span of all
 * items, and its sum of waits may be longer than the picture: the bar begins at 0 then.
 */
function drawBar(step: JobStep, at: (ms: number) => number, endMs: number): string {
  if (step.startedAt === null) return ''
  const startMs = Date.parse(step.startedAt)
  const from = at(startMs)
  const to = Math.max(from + 1, at(step.finishedAt === null ? endMs : Date.parse(step.finishedAt)))
  const waits = step.items === undefined ? Math.max(0, at(startMs - step.waitMs)) : from
  return (
    ' '.repeat(Math.min(waits, from)) +
    '░'.repeat(Math.max(0, from - waits)) +
    '█'.repeat(to - from)
  )
}
