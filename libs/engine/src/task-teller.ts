import {
  digestOf,
  type LostEvents,
  type LostReason,
  limits,
  type TaskReport,
} from '@weir/contracts'
import type { TaskTeller } from '@weir/sdk'
import type { EventSink, SinkOwner } from './event-sink.ts'

/** An event of an attempt, numbered, with its data as JSON text. */
export type TaskEvent = {
  readonly n: number
  readonly name: string
  readonly json: string | undefined
}

/** The members of a report that say what a handler told. */
export type Telling =
  | ({ readonly status: 'event' } & Required<Pick<TaskReport, 'event'>>)
  | ({ readonly status: 'events_lost' } & Required<Pick<TaskReport, 'lost'>>)
  | ({ readonly status: 'artifact' } & Required<Pick<TaskReport, 'artifact'>>)

export type ClosableTeller = TaskTeller & {
  /** The handler has ended: what is not told yet goes now, ahead of the task's own report. */
  close(): void
}

/**
 * What the handler of one attempt tells, in its order: events through the instance's sink, artifacts
 * past it, once what was said before them has been handed over. Each gap among the events is told of
 * right before what follows it, the last one at the end.
 */
export function createTaskTeller(
  sink: EventSink<TaskEvent>,
  tell: (telling: Telling, content: Buffer | undefined, done: (error?: Error) => void) => void,
): ClosableTeller {
  let said = 0
  let isClosed = false
  let gaps: LostEvents[] = []

  const note = (n: number, reason: LostReason) => {
    const last = gaps.at(-1)
    if (last?.reason === reason && n === last.to + 1) {
      gaps[gaps.length - 1] = { ...last, to: n, count: last.count + 1 }
    } else gaps.push({ from: n, to: n, count: 1, reason })
  }

  /** Tells of the gaps before a number. */
  const tellGaps = (before: number) => {
    const due = gaps.filter(({ to }) => to < before).sort((one, other) => one.to - other.to)
    if (due.length === 0) return
    gaps = gaps.filter(({ to }) => to >= before)
    for (const lost of due) tell({ status: 'events_lost', lost }, undefined, () => {})
  }

  const owner: SinkOwner<TaskEvent> = {
    deliver({ n, name, json }, done) {
      tellGaps(n)
      const data = json === undefined ? {} : { data: JSON.parse(json) as unknown }
      tell({ status: 'event', event: { n, name, ...data } }, undefined, done)
    },
    lose({ n }, reason) {
      // Kafka has not taken it; whether it takes word of that is not known either.
      if (reason !== 'send_failed') note(n, reason)
    },
  }

  return {
    event(name, json) {
      if (isClosed) return false
      said += 1
      const n = said
      if (json === null || n > limits.eventsPerAttempt) {
        const reason = json === null ? 'too_large' : 'attempt_full'
        sink.refuse(reason)
        note(n, reason)
        return false
      }
      return sink.offer(owner, { n, name, json })
    },
    artifact({ name, mediaType, content }) {
      if (isClosed) return Promise.reject(new Error('the task has ended'))
      said += 1
      const n = said
      sink.flush(owner)
      tellGaps(n)
      const digest = digestOf(content)
      const artifact = { n, name, mediaType, bytes: content.length, digest }
      return new Promise((resolve, reject) => {
        tell({ status: 'artifact', artifact }, content, (error) => {
          if (error === undefined) resolve()
          else reject(error)
        })
      })
    },
    async settled() {
      await sink.drained(owner)
    },
    close() {
      if (isClosed) return
      sink.flush(owner)
      tellGaps(Number.POSITIVE_INFINITY)
      isClosed = true
    },
  }
}
