import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Client, JobArtifact } from '@weir/client'
import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { formatTable } from '../output/table.ts'

export const listArtifacts: Run = async (context) => {
  const { jobs } = await context.connect()
  const artifacts = await jobs.artifacts(context.args[0] as string)
  await context.out.show({
    data: artifacts,
    table: (paint) =>
      formatTable(
        ['SEQ', 'NAME', 'STEP', 'TYPE', 'BYTES', 'AT'],
        artifacts.map(({ seq, name, step, item, mediaType, bytes, kept, at }) => [
          ...[String(seq), name, item === undefined ? step : `${step}[${item}]`, mediaType],
          ...[kept ? String(bytes) : `${bytes}, not kept`, at],
        ]),
        paint,
      ),
    names: () => artifacts.map(({ name }) => name),
  })
}

type GetFlags = { readonly to?: string }

/** Writes the content to a file, or to stdout where that is no terminal. */
export const getArtifact: Run<GetFlags> = async (context, { to }) => {
  const { args, io, say } = context
  const [id, wanted] = args as [string, string]
  if (to === undefined && io.stdout.isTTY === true) {
    throw usage('say where to put it', 'add --to FILE, or send stdout to a file or a pipe')
  }
  const client = await context.connect()
  const found = await find(client, id, wanted)
  const content = await client.jobs.artifact(id, found.seq)
  if (to === undefined) {
    io.stdout.write(content)
    return
  }
  const path = resolve(io.cwd, to)
  // Never over a file that is there: it may be the work of a day.
  const file = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
    throw usage(`${to} is there already`, 'name another file')
  })
  await file.writeFile(content)
  await file.close()
  say(`${found.name}: ${content.length} bytes in ${to}`)
}

/** By its number, else the latest of that name. */
async function find(client: Client, id: string, wanted: string): Promise<JobArtifact> {
  const artifacts = await client.jobs.artifacts(id)
  const found =
    artifacts.find(({ seq }) => String(seq) === wanted) ??
    artifacts.findLast(({ name }) => name === wanted)
  if (found !== undefined) return found
  throw new Failure(`job ${id} has no artifact "${wanted}"`, {
    exitCode: exitCodes.notFound,
    code: 'not_found',
    hint: `weir artifact list ${id}`,
  })
}
