import type { Run } from '../context.ts'
import { callIfThere } from '../missing.ts'
import { describeJob } from '../output/job-text.ts'

type CancelFlags = { readonly because?: string }

export const cancel: Run<CancelFlags> = async (context, { because }) => {
  const id = context.args[0] as string
  const client = await context.connect()
  const job = await callIfThere(client, '/v1/jobs/{id}/cancel', 'cancelling of jobs', () =>
    client.jobs.cancel(id, because),
  )
  await context.out.show({
    data: job,
    table: (paint) => describeJob(job, paint),
    names: () => [job.id],
  })
}
