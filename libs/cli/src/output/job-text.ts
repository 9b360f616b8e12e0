import type { Job, JobError, JobStep } from '@weir/client'
import { formatMs, formatSpan } from './format-time.ts'
import type { Paint } from './paint.ts'
import { stateCell } from './paint.ts'
import { clean, formatTable } from './table.ts'

/** A job for people: head, steps, and what came of it. */
export function describeJob(job: Job, paint: Paint): string {
  const state = stateCell(job.status)
  const status =
    typeof state === 'object' && state !== null ? paint(state.color, job.status) : job.status
  const lines = [
    `${paint('bold', 'job')}       ${job.id}`,
    `pipeline  ${job.pipeline} v${job.version}, run ${job.run}`,
    `status    ${status}${tookOf(job)}`,
    ...(job.waitingFor === null ? [] : [`waits     ${clean(job.waitingFor.detail)}`]),
    ...(job.cancel === undefined ? [] : [`cancel    ${formatCancel(job.cancel)}`]),
    ...(job.error === null ? [] : [`error     ${formatError(job.error)}`]),
    ...Object.entries(job.tags).map(([key, value]) => `tag       ${clean(`${key}=${value}`)}`),
    '',
    formatSteps(job, paint),
  ]
  if (job.result !== null && job.result !== undefined) {
    lines.push('', paint('bold', 'result'), JSON.stringify(job.result, null, 2))
  }
  return lines.join('\n')
}

const formatCancel = ({ actor, reason }: NonNullable<Job['cancel']>): string =>
  clean(`asked for by ${actor}${reason === null ? '' : `: ${reason}`}`)

function tookOf({ submittedAt, finishedAt }: Job): string {
  return finishedAt === null ? '' : ` after ${formatSpan(submittedAt, finishedAt)}`
}

export function formatSteps(job: Job, paint: Paint): string {
  const rows = Object.entries(job.steps).map(([name, step]) => [
    name,
    step.stage,
    stateCell(step.status),
    step.attempts,
    formatMs(step.waitMs),
    formatMs(step.workMs),
    noteOn(step),
  ])
  return formatTable(['STEP', 'STAGE', 'STATUS', 'ATTEMPTS', 'WAIT', 'WORK', 'NOTE'], rows, paint)
}

function noteOn({ items, error, reason, diverged }: JobStep): string {
  return [
    items &&
      `${items.completed}/${items.total} items${items.failed > 0 ? `, ${items.failed} failed` : ''}`,
    error && formatError(error),
    reason,
    diverged === true && 'diverged',
  ]
    .filter(Boolean)
    .join('; ')
}

export function formatError({ code, message, step, item }: JobError): string {
  const where =
    step === undefined ? '' : ` (step ${step}${item === undefined ? '' : ` item ${item}`})`
  return clean(`${code}: ${message}${where}`)
}
