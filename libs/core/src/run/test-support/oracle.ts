import type { Plan } from '@weir/contracts'
import type { Task } from './reference-run.ts'

/** What the run must come to, from what each task was truly made from. */
export class Oracle {
  readonly #tasks: ReadonlyMap<string, Task>
  readonly #leafs: readonly string[]
  readonly #plan: Plan
  readonly reported = new Set<string>()
  readonly #required = new Set<string>()
  verdict: 'failed' | 'cancelled' | null = null

  constructor(plan: Plan, tasks: readonly Task[]) {
    this.#plan = plan
    this.#tasks = new Map(tasks.map((task) => [task.key, task]))
    // A leaf inside a fan-out needs its openers too: they tell how many of it there are.
    const leafs = plan.steps.filter((step) => step.out.length === 0)
    const needed = new Set(leafs.flatMap((step) => [step.name, ...step.scope]))
    this.#leafs = tasks.filter(({ step }) => needed.has(step.name)).map(({ key }) => key)
  }

  #require(key: string): void {
    if (this.#required.has(key)) return
    this.#required.add(key)
    for (const parent of this.#tasks.get(key)?.parents ?? []) this.#require(parent)
  }

  add(task: Task): void {
    this.reported.add(task.key)
    this.#require(task.key)
    if (task.report.status === 'cancelled') this.verdict ??= 'cancelled'
    if (task.report.status === 'failed' && this.#plan.onFailure === 'fail_fast') {
      this.verdict ??= 'failed'
    }
  }

  get isOver(): boolean {
    if (this.verdict !== null) return true
    if (!this.#leafs.every((leaf) => this.reported.has(leaf))) return false
    for (const key of this.#required) if (!this.reported.has(key)) return false
    return true
  }

  get status(): string {
    if (this.verdict !== null) return this.verdict
    const reports = [...this.reported].map((key) => this.#tasks.get(key) as Task)
    const isBad = ({ report }: Task) => report.status === 'failed' || report.failedBefore === true
    if (!reports.some(isBad)) return 'completed'
    const hasLeaf = reports.some(
      ({ step, report }) => step.out.length === 0 && report.status === 'completed',
    )
    if (this.#plan.onFailure === 'fail_fast' || !hasLeaf) return 'failed'
    return 'completed_with_failures'
  }
}
