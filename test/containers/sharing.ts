import type { Client } from '../support/api-client.ts'
import { until } from '../support/until.ts'

/** An instance that has not told of itself for so long is left out: they do every 5 s. */
const FRESH_MS = 7_500
const SHARED_MS = 240_000

type Stage = {
  readonly partitions: number
  readonly lanes: readonly string[]
  readonly instances: readonly {
    readonly version: string
    readonly partitions: readonly string[]
    readonly heartbeatAgeMs: number
  }[]
}

export type Sharing = {
  /** Resolves when so many instances have all partitions of the stage between them, each some. */
  between(instances: number): Promise<void>
  /** Versions of the instances that have partitions. */
  versions(): Promise<readonly string[]>
}

/** Who works on a stage's partitions, as control tells it. */
export function createSharing(operator: Client, ref: string): Sharing {
  const read = async () => {
    const { partitions, lanes, instances } = await operator.get<Stage>(`/v1/stages/${ref}`)
    const working = instances.filter(
      (one) => one.heartbeatAgeMs < FRESH_MS && one.partitions.length > 0,
    )
    return { count: partitions * lanes.length, working }
  }

  return {
    async between(wanted) {
      await until(
        `${wanted} instances to share ${ref}`,
        async () => {
          const { count, working } = await read()
          const held = working.flatMap(({ partitions }) => partitions)
          const isWhole = held.length === count && new Set(held).size === count
          return isWhole && working.length === wanted
        },
        SHARED_MS,
      )
    },
    async versions() {
      return (await read()).working.map(({ version }) => version).toSorted()
    },
  }
}
