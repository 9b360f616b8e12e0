import type { Lane } from '@weir/contracts'
import { KafkaError } from '@weir/kafka'
import type { Control } from '../control.ts'

/**
 * Makes a stage's topics, and commits offset 0 for its group where it has none: a stage never
 * chooses by itself where to begin, so a lost offset is found out and never skipped over. Safe to
 * run again.
 */
export async function createStageTopics(
  { admin, topics }: Pick<Control, 'admin' | 'topics'>,
  ref: string,
  partitions: number,
  lanes: readonly Lane[],
): Promise<void> {
  await admin.createTopics(topics.stageSpecs(ref, partitions, lanes))
  const group = topics.stageGroup(ref)
  const all = lanes.flatMap((lane) =>
    Array.from({ length: partitions }, (_, partition) => ({
      topic: topics.input(ref, lane),
      partition,
    })),
  )
  const committed = await admin.fetchCommitted(group, all)
  const missing = committed.filter(({ offset }) => offset === null)
  if (missing.length === 0) return
  try {
    await admin.commitAsAdmin(
      group,
      missing.map(({ topic, partition }) => ({ topic, partition, offset: 0 })),
    )
  } catch (error) {
    // Its instances are there already, so the group has offsets of its own.
    if (!(error instanceof KafkaError && error.code === 'not_empty')) throw error
  }
}
