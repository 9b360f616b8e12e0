import type { Run } from '../context.ts'
import { formatVersions, readVersions } from '../versions.ts'

export const version: Run = async ({ out }) => {
  const data = readVersions()
  await out.show({ data, table: () => formatVersions(data), names: () => [data.weir] })
}
