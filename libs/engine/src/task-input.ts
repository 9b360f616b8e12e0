import { idempotencyKeyOf, type PlanEdge } from '@weir/contracts'
import type { JoinedBody, MissingInput, Task } from '@weir/core'
import type { GatherManifest, JoinView, MissingReason, TaskFields } from '@weir/sdk'

/** What a handler is given, read from a task's message. */
export type TaskInput = {
  readonly input: unknown
  readonly fields: TaskFields
  /** Trace contexts of a join's other parts. */
  readonly links: readonly string[]
}

/** Throws where the payload is not JSON. */
export function readTaskInput(task: Task): TaskInput {
  const parsed = JSON.parse(task.value) as unknown
  if (task.of !== 'joined') return { input: parsed, fields: fieldsOf(task), links: [] }
  const body = parsed as JoinedBody
  return { input: body.input, fields: fieldsOf(task, body), links: body.links ?? [] }
}

function fieldsOf(task: Task, body?: JoinedBody): TaskFields {
  const { envelope, plan, step } = task
  const { tenant, job, meta } = envelope
  return {
    tenant,
    job,
    run: meta.run,
    pipeline: plan.pipeline,
    step: step.name,
    item: meta.item,
    attempt: task.attempt,
    correlationId: envelope.correlation,
    // Most handlers never look at it.
    get idempotencyKey() {
      return idempotencyKeyOf(tenant, job, step.name, meta.item, meta.reexecution ?? 0)
    },
    priority: meta.priority,
    isReplay: meta.replay !== undefined,
    config: step.config,
    ...(body !== undefined && viewOf(task, body)),
  }
}

/** What the handler of a join or gather is told of its inputs. */
function viewOf(task: Task, body: JoinedBody): { join: JoinView } | { manifest: GatherManifest } {
  const edges = task.step.in.map((index) => task.plan.edges[index] as PlanEdge)
  // Under `all` an input can be missing for one reason only: its time was up.
  const absent = task.step.join?.policy === 'all' ? 'timeout' : 'not_waited_for'
  const reasonOf = ({ reason }: MissingInput): MissingReason =>
    reason === 'not_delivered' ? absent : reason
  if (edges.length === 1) {
    const missing = body.manifest.flatMap((entry) =>
      entry.index === undefined ? [] : [{ item: String(entry.index), reason: reasonOf(entry) }],
    )
    const present = Array.isArray(body.input) ? body.input.length : 0
    return { manifest: { total: present + missing.length, missing } }
  }
  const missing = body.manifest.flatMap((entry) =>
    entry.index === undefined ? [{ name: entry.as, reason: reasonOf(entry) }] : [],
  )
  return { join: { names: edges.map(({ as }) => as), missing } }
}
