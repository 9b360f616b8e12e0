import type { JobEvent, Plan, TaskReport } from '@weir/contracts'
import { type Acceptance, acceptReport, type NewEvent } from '../accept-report.ts'
import { foldEvent } from '../fold-event.ts'
import { type RunState, startRun } from '../run-state.ts'

/** A dispatched run that is told reports and events, with the log that they make. */
export type Story = {
  readonly plan: Plan
  readonly state: RunState
  readonly events: JobEvent[]
  event(event: Partial<NewEvent> & Pick<NewEvent, 'type'>): void
  report(step: string, report?: Partial<TaskReport>): Acceptance
}

export const AT = '2024-01-01T00:00:00.000Z'
const NOW = Date.parse(AT)

export function tell(plan: Plan): Story {
  const state = startRun(plan)
  const events: JobEvent[] = []
  const append = (event: NewEvent) => {
    const numbered = { seq: events.length + 1, ...event }
    events.push(numbered)
    foldEvent(state, plan, numbered)
  }
  const story: Story = {
    plan,
    state,
    events,
    event: (event) => append({ run: state.run, at: AT, data: {}, ...event }),
    report(step, report = {}) {
      const full = { item: '', status: 'completed', attempt: 1, at: NOW, ...report } as const
      const acceptance = acceptReport(state, plan, step, full, NOW + 1_000)
      acceptance.events.forEach(append)
      return acceptance
    },
  }
  story.event({ type: 'job.queued' })
  story.event({ type: 'job.dispatched' })
  return story
}
