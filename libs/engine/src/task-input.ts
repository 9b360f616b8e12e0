import { idempotencyKeyOf, type PlanEdge, type PlanStep } from '@weir/contracts'
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
  const fields = new Fields(task)
  if (body !== undefined) Object.assign(fields, viewOf(task, body))
  return fields
}

/** A class for the sake of the accessor: an object with one is made member by member. */
class Fields implements TaskFields {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly pipeline: string
  readonly step: string
  readonly item: string
  readonly attempt: number
  readonly correlationId: string
  readonly priority: number
  readonly isReplay: boolean
  readonly config: PlanStep['config']
  declare readonly join?: JoinView
  declare readonly manifest?: GatherManifest
  readonly #reexecution: number

  constructor({ envelope, plan, step, attempt }: Task) {
    const { tenant, job, meta } = envelope
    this.tenant = tenant
    this.job = job
    this.run = meta.run
    this.pipeline = plan.pipeline
    this.step = step.name
    this.item = meta.item
    this.attempt = attempt
    this.correlationId = envelope.correlation
    this.priority = meta.priority
    this.isReplay = meta.replay !== undefined
    this.config = step.config
    this.#reexecution = meta.reexecution ?? 0
  }

  /** A hash, and most handlers never look at it. */
  get idempotencyKey(): string {
    return idempotencyKeyOf(this.tenant, this.job, this.step, this.item, this.#reexecution)
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
