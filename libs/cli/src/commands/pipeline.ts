import { confirm } from '../confirm.ts'
import type { Context, Run } from '../context.ts'
import { formatAge } from '../output/format-time.ts'
import { formatRecord } from '../output/record-table.ts'
import { formatTable } from '../output/table.ts'
import { parseInteger } from '../pairs.ts'

const nameOf = ({ args }: Context): string => args[0] as string

const show = ({ out }: Context, pipeline: { readonly name: string }) =>
  out.show({
    data: pipeline,
    table: () => formatRecord({ ...pipeline }),
    names: () => [pipeline.name],
  })

const versions: Run = async (context) => {
  const { pipelines } = await context.connect()
  const answer = await pipelines.versions(nameOf(context), { limit: 500 })
  const rows = answer.versions.map(({ version, planId, createdAt, createdBy }) => [
    version,
    planId,
    formatAge(createdAt),
    createdBy,
  ])
  await context.out.show({
    data: answer,
    table: (paint) => formatTable(['VERSION', 'PLAN', 'AGE', 'BY'], rows, paint),
    names: () => answer.versions.map(({ version }) => String(version)),
  })
}

const use: Run = async (context) => {
  const version = parseInteger('the version', context.args[1], 1) as number
  const { pipelines } = await context.connect()
  await show(context, await pipelines.setCurrent(nameOf(context), version))
}

const pause: Run = async (context) => {
  const { pipelines } = await context.connect()
  await show(context, await pipelines.pause(nameOf(context)))
}

const resume: Run = async (context) => {
  const { pipelines } = await context.connect()
  await show(context, await pipelines.resume(nameOf(context)))
}

const remove: Run<{ readonly yes?: boolean }> = async (context, { yes }) => {
  const name = nameOf(context)
  await confirm(context, `The pipeline ${name} will take no new jobs.`, yes)
  const { pipelines } = await context.connect()
  await pipelines.delete(name)
  context.say(`${name} takes no new jobs; what is queued or running ends`)
}

export const pipelineCommands = { versions, use, pause, resume, delete: remove }
