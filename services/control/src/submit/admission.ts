import type { JobAnswer } from '@weir/postgres'
import { createTenantLanes } from '../tenant-lanes.ts'

/** What became of a job that was submitted; admitted ones with the time the database gave them. */
export type Admitted =
  | { readonly outcome: 'admitted'; readonly id: string; readonly submittedAt: Date }
  | Exclude<JobAnswer, { readonly outcome: 'admitted' }>

export type AdmissionPorts<Job extends { readonly input: string }> = {
  /** One statement; the longest prefix that fits is admitted, one answer per job. */
  readonly admit: (tenant: string, jobs: readonly Job[], allOrNone: boolean) => Promise<Admitted[]>
  /** After the commit. */
  readonly onAdmitted: (count: number) => void
  readonly onGroup: (jobs: number) => void
}

export type Admission<Job> = {
  submit(tenant: string, job: Job): Promise<Admitted>
  /** All or none; the answers are in the order of the jobs. */
  submitBatch(tenant: string, jobs: readonly Job[]): Promise<readonly Admitted[]>
}

const GROUP_JOBS_MAX = 500
const GROUP_CHARS_MAX = 4 * 1024 * 1024

type Entry<Job> = {
  readonly jobs: readonly Job[]
  readonly allOrNone: boolean
  readonly chars: number
  readonly resolve: (answers: readonly Admitted[]) => void
  readonly reject: (error: unknown) => void
}

/** Submits of one tenant share the admission statement. */
export function createAdmission<Job extends { readonly input: string }>(
  ports: AdmissionPorts<Job>,
): Admission<Job> {
  const lanes = createTenantLanes<Entry<Job>>({
    take: takeGroup,
    work: admitGroup,
    full: 'Too many submits wait to be admitted.',
  })

  function enqueue(tenant: string, jobs: readonly Job[], allOrNone: boolean) {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Admitted[]>()
    const chars = jobs.reduce((sum, job) => sum + job.input.length, 0)
    lanes(tenant, { jobs, allOrNone, chars, resolve, reject })
    return promise
  }

  /** Answers what is decided; returns what must be tried again. */
  async function admitGroup(tenant: string, group: readonly Entry<Job>[]): Promise<Entry<Job>[]> {
    const jobs = group.flatMap((entry) => entry.jobs)
    const allOrNone = group[0]?.allOrNone === true
    ports.onGroup(jobs.length)
    const answers = await ports.admit(tenant, jobs, allOrNone)
    const admitted = answers.filter(({ outcome }) => outcome === 'admitted').length
    if (admitted > 0) ports.onAdmitted(admitted)
    if (allOrNone) {
      group[0]?.resolve(answers)
      return []
    }
    // What is too large stops what comes behind it, which may be small enough: only the first is
    // refused then. The rate and the queue have room for none of the rest.
    const firstRefused = answers.findIndex(({ outcome }) => outcome === 'refused')
    const first = answers[firstRefused]
    const isBySize = first?.outcome === 'refused' && first.quota.endsWith('Bytes')
    const again: Entry<Job>[] = []
    for (const [index, entry] of group.entries()) {
      const isUndecided = isBySize && index > firstRefused && answers[index]?.outcome === 'refused'
      if (isUndecided) again.push(entry)
      else entry.resolve([answers[index] as Admitted])
    }
    return again
  }

  return {
    submit: async (tenant, job) => (await enqueue(tenant, [job], false))[0] as Admitted,
    submitBatch: (tenant, jobs) => enqueue(tenant, jobs, true),
  }
}

function takeGroup<Job>(waiting: Entry<Job>[]): Entry<Job>[] {
  let count = 0
  let chars = 0
  for (const entry of waiting) {
    const isOver = count === GROUP_JOBS_MAX || chars + entry.chars > GROUP_CHARS_MAX
    if (count > 0 && (isOver || entry.allOrNone)) break
    count++
    chars += entry.chars
    if (entry.allOrNone) break
  }
  return waiting.splice(0, count)
}
