import assert from 'node:assert/strict'
import {
  childItem,
  digestOf,
  type EdgeMessageKind,
  type Plan,
  type PlanEdge,
  type PlanStep,
  parentItem,
  type TaskReport,
} from '@weir/contracts'
import type { Random } from './random.ts'

export type Task = {
  readonly key: string
  readonly step: PlanStep
  readonly report: TaskReport
  /** The tasks whose messages this one ran on; late ones are not among them. */
  readonly parents: readonly string[]
}

type Message = {
  readonly edge: PlanEdge
  readonly item: string
  readonly kind: EdgeMessageKind
  readonly digest: string
  readonly sender: string | null
  /** Siblings in the innermost fan-out, for messages on a gather edge that are no scope marker. */
  readonly siblings: number
}

type Join = { readonly step: PlanStep; readonly item: string; parts: Message[]; isDone: boolean }

type Result = Pick<TaskReport, 'status' | 'reason' | 'error' | 'failedBefore' | 'taken'>

/** What decides in place of chance. */
export type Script = {
  /** What the handler of a task makes of it. */
  readonly resultOf: (step: PlanStep, item: string) => Result
  /** Elements that a task sends. */
  readonly countOf: (step: PlanStep, item: string) => number
  /** Such a step's messages wait until nothing else is left to do and joins' times are up. */
  readonly isLate: (step: string) => boolean
}

const keyOf = (step: string, item: string) => `${step}/${item}`

/**
 * A run carried out by the rules of the design alone, without the code under test: it passes
 * messages in a random order and makes every task decide at random. It knows all of the plan's
 * messages, so it can say that they are conserved and what each task was made from.
 */
export class ReferenceRun {
  readonly tasks: Task[] = []
  readonly #plan: Plan
  readonly #random: Random
  readonly #flying: Message[] = []
  readonly #joins = new Map<string, Join>()
  readonly #counts = new Map<string, number>()
  readonly #sent = new Set<string>()
  readonly #cancels: boolean
  readonly #script: Script | undefined

  constructor(plan: Plan, random: Random, script?: Script) {
    this.#plan = plan
    this.#random = random
    this.#script = script
    this.#cancels = random.chance(0.2)
    for (const edge of plan.edges) {
      if (edge.from === null) this.#send(edge, '', 'data', 'input', null, 0)
    }
  }

  get isQuiet(): boolean {
    return this.#flying.length === 0
  }

  /** Delivers one message, or lets one join's time run out; the task that this made, if any. */
  advance(): Task | null {
    const waiting = [...this.#joins.values()].filter(
      ({ step, isDone }) => !isDone && step.join?.timeoutMs !== null,
    )
    if (this.#script !== undefined) return this.#advanceBy(this.#script, waiting)
    if (waiting.length > 0 && this.#random.chance(0.05))
      return this.#timeOut(this.#random.pick(waiting))
    const [message] = this.#flying.splice(this.#random.below(this.#flying.length), 1)
    return message === undefined ? null : this.#deliver(message)
  }

  /** The messages in the order of their sending, those to late steps last. */
  #advanceBy(script: Script, waiting: readonly Join[]): Task | null {
    const at = this.#flying.findIndex(({ edge }) => !script.isLate(edge.to))
    const [overdue] = waiting
    if (at === -1 && overdue !== undefined) return this.#timeOut(overdue)
    const [message] = this.#flying.splice(Math.max(0, at), 1)
    return message === undefined ? null : this.#deliver(message)
  }

  /** Every message that the plan and the fan-outs' counts ask for was sent, and none else. */
  assertConserved(): void {
    const expected = new Set<string>()
    for (const edge of this.#plan.edges) {
      if (edge.from === null) expected.add(`${edge.index}/`)
    }
    for (const { step, report } of this.tasks) {
      const { item, fanOut } = report
      for (const edge of this.#edges(step.out)) {
        if (edge.kind !== 'each') expected.add(`${edge.index}/${item}`)
        for (let at = 0; edge.kind === 'each' && at < (fanOut?.count ?? 0); at++) {
          expected.add(`${edge.index}/${childItem(item, at)}`)
        }
      }
      if (fanOut !== undefined && fanOut.marker !== 'items') {
        for (const edge of step.closing) expected.add(`${edge}/${item}`)
      }
    }
    assert.deepEqual([...this.#sent].sort(), [...expected].sort())
    for (const join of this.#joins.values()) {
      assert.ok(join.isDone, `the join of ${join.step.name} is left open`)
      for (const edge of this.#edges(join.step.in)) assert.ok(this.#hasAll(join, edge))
    }
    assert.equal(new Set(this.tasks.map(({ key }) => key)).size, this.tasks.length)
  }

  /** Tasks by stage that have all their messages, delivered or on the way; for `all` joins. */
  ready(): Record<string, number> {
    const ready: Record<string, number> = {}
    const add = (step: PlanStep) => {
      ready[step.stage] = (ready[step.stage] ?? 0) + 1
    }
    const joins = new Map<string, Join>()
    for (const join of this.#joins.values()) {
      if (!join.isDone)
        joins.set(keyOf(join.step.name, join.item), { ...join, parts: [...join.parts] })
    }
    for (const message of this.#flying) {
      const step = this.#step(message.edge.to)
      if (step.join === null) {
        add(step)
        continue
      }
      const item = this.#targetItem(message)
      const key = keyOf(step.name, item)
      const join = joins.get(key) ?? { step, item, parts: [], isDone: false }
      join.parts.push(message)
      joins.set(key, join)
    }
    for (const join of joins.values()) {
      if (this.#edges(join.step.in).every((edge) => this.#hasAll(join, edge))) add(join.step)
    }
    return ready
  }

  #step(name: string): PlanStep {
    return this.#plan.steps.find((step) => step.name === name) as PlanStep
  }

  #edges(numbers: readonly number[]): PlanEdge[] {
    return numbers.map((number) => this.#plan.edges[number] as PlanEdge)
  }

  #targetItem({ edge, item, siblings }: Message): string {
    return edge.kind === 'gather' && siblings > 0 ? parentItem(item) : item
  }

  #send(
    edge: PlanEdge,
    item: string,
    kind: EdgeMessageKind,
    digest: string,
    sender: string | null,
    siblings: number,
  ): void {
    const id = `${edge.index}/${item}`
    assert.ok(!this.#sent.has(id), `${id} was sent twice`)
    this.#sent.add(id)
    this.#flying.push({ edge, item, kind, digest, sender, siblings })
  }

  #deliver(message: Message): Task | null {
    const step = this.#step(message.edge.to)
    if (step.join !== null) return this.#join(step, message)
    const source = message.edge.from === null ? null : this.#step(message.edge.from)
    const isNamed =
      source !== null && source.writeOutcome !== 'always' && message.kind !== 'skipped'
    const took = isNamed ? [[message.edge.index, message.item, message.digest] as const] : []
    if (message.kind === 'data') return this.#run(step, message.item, [message], { took })
    const result = { status: 'skipped', reason: 'marker' } as const
    return this.#decide(
      step,
      message.item,
      [message],
      { took },
      {
        ...result,
        ...(message.kind === 'failed' ? { failedBefore: true } : {}),
      },
    )
  }

  #join(step: PlanStep, message: Message): Task | null {
    const item = this.#targetItem(message)
    const key = keyOf(step.name, item)
    let join = this.#joins.get(key)
    if (join === undefined) {
      join = { step, item, parts: [], isDone: false }
      this.#joins.set(key, join)
    }
    join.parts.push(message)
    return join.isDone ? null : this.#fireIfDecided(join)
  }

  #hasAll(join: Join, edge: PlanEdge): boolean {
    const parts = join.parts.filter((part) => part.edge === edge)
    const first = parts[0]
    if (first === undefined) return false
    return parts.length === (edge.kind === 'gather' ? Math.max(1, first.siblings) : 1)
  }

  #fireIfDecided(join: Join): Task | null {
    const { step, parts } = join
    const policy = step.join as NonNullable<PlanStep['join']>
    const edges = this.#edges(step.in)
    const isComplete = edges.every((edge) => this.#hasAll(join, edge))
    const isData = (part: Message) => part.kind === 'data' || part.kind === 'empty'
    if (policy.policy === 'all') return isComplete ? this.#decideByTable(join) : null
    const units =
      policy.unit === 'items'
        ? parts.filter((part) => part.kind === 'data').length
        : edges.filter(
            (edge) =>
              this.#hasAll(join, edge) && parts.some((part) => part.edge === edge && isData(part)),
          ).length
    if (units >= policy.n) return this.#fire(join, 'run')
    if (!isComplete) return null
    if (units === 0) return this.#decideByTable(join)
    return this.#fire(join, 'join_unsatisfied')
  }

  #decideByTable(join: Join): Task {
    const has = (...kinds: EdgeMessageKind[]) =>
      join.parts.some((part) => kinds.includes(part.kind))
    const isWhole = !has('failed') || this.#plan.onFailure === 'best_effort'
    if (has('data', 'empty') && isWhole) return this.#fire(join, 'run')
    return this.#fire(join, has('failed') ? 'failed_before' : 'skip')
  }

  #timeOut(join: Join): Task {
    const isPartial =
      join.step.join?.onTimeout === 'partial' && join.parts.some((part) => part.kind === 'data')
    return this.#fire(join, isPartial ? 'run' : 'join_timeout')
  }

  #fire(
    join: Join,
    decision: 'run' | 'skip' | 'failed_before' | 'join_unsatisfied' | 'join_timeout',
  ) {
    join.isDone = true
    const { step, item, parts } = join
    const missing: (readonly [number, string])[] = []
    for (const edge of this.#edges(step.in)) {
      const there = parts.filter((part) => part.edge === edge)
      if (edge.kind !== 'gather') {
        if (there.length === 0) missing.push([edge.index, item])
      } else if (there[0] === undefined) {
        missing.push([edge.index, '*'])
      } else {
        for (let at = 0; at < there[0].siblings; at++) {
          const path = childItem(item, at)
          if (!there.some((part) => part.item === path)) missing.push([edge.index, path])
        }
      }
    }
    const took = parts
      .filter((part) => part.kind === 'data')
      .map((part) => [part.edge.index, part.item, part.digest] as const)
    const inputs = { took, missing }
    if (decision === 'run') return this.#run(step, item, parts, inputs)
    if (decision === 'skip' || decision === 'failed_before') {
      const isAfter = decision === 'failed_before'
      return this.#decide(step, item, parts, inputs, {
        status: 'skipped',
        reason: 'table',
        ...(isAfter ? { failedBefore: true } : {}),
      })
    }
    const error = { code: decision, message: 'no', class: 'permanent' } as const
    return this.#decide(step, item, parts, inputs, { status: 'failed', error })
  }

  #run(
    step: PlanStep,
    item: string,
    parts: Message[],
    inputs: Pick<TaskReport, 'took' | 'missing'>,
  ) {
    if (this.#script !== undefined) {
      return this.#decide(step, item, parts, inputs, this.#script.resultOf(step, item))
    }
    const draw = this.#random.next()
    const error = { code: 'broken', message: 'It broke.', class: 'permanent' } as const
    const isRoute = step.stage === 'pick@1'
    const taken = isRoute ? { taken: ['a', 'b'].filter(() => this.#random.chance(0.5)) } : {}
    const result: Result =
      draw < 0.1
        ? { status: 'failed', error }
        : draw < 0.2
          ? { status: 'skipped', reason: 'by choice' }
          : draw < 0.22 && this.#cancels
            ? { status: 'cancelled', reason: 'by choice' }
            : { status: 'completed', ...taken }
    return this.#decide(step, item, parts, inputs, result)
  }

  #decide(
    step: PlanStep,
    item: string,
    parts: readonly Message[],
    { took = [], missing = [] }: Pick<TaskReport, 'took' | 'missing'>,
    result: Result,
  ): Task {
    const key = keyOf(step.name, item)
    const isOk = result.status === 'completed'
    const digest = isOk ? { digest: digestOf(key), outputBytes: 2 } : {}
    const edges = this.#edges(step.out)
    const isTaken = (edge: PlanEdge) =>
      isOk && (edge.when === null || (result.taken?.includes(edge.when) ?? false))
    const marker = result.status === 'failed' || result.failedBefore === true ? 'failed' : 'skipped'
    const fans = edges.filter((edge) => edge.kind === 'each')
    let fanOut: TaskReport['fanOut']
    if (fans.length > 0) {
      const drawn = this.#script?.countOf(step, item) ?? this.#random.below(4)
      const count = fans.some(isTaken) ? drawn : 0
      const kind = fans.some(isTaken) ? (count === 0 ? 'empty' : 'items') : marker
      fanOut = { marker: kind, count }
      this.#counts.set(key, count)
    }
    for (const edge of edges) {
      const kind = isTaken(edge) ? 'data' : marker
      const content = digestOf(kind === 'data' ? key : 'null')
      if (edge.kind !== 'each') {
        const siblings = edge.kind === 'gather' ? this.#siblingsOf(step, item) : 0
        this.#send(edge, item, kind, content, key, siblings)
      } else {
        for (let at = 0; at < (fanOut?.count ?? 0); at++) {
          this.#send(edge, childItem(item, at), kind, digestOf(`${key}#${at}`), key, 0)
        }
      }
    }
    if (fanOut !== undefined && fanOut.marker !== 'items') {
      for (const edge of this.#edges(step.closing)) {
        this.#send(edge, item, fanOut.marker, digestOf('null'), key, 0)
      }
    }
    const report: TaskReport = {
      item,
      attempt: 1,
      at: 1_700_000_000_000 + this.tasks.length,
      waitMs: 0,
      workMs: 0,
      ...result,
      ...digest,
      ...(took.length > 0 ? { took } : {}),
      ...(missing.length > 0 ? { missing } : {}),
      ...(fanOut === undefined ? {} : { fanOut }),
    }
    const parents = parts.flatMap((part) => (part.sender === null ? [] : [part.sender]))
    const task = { key, step, report, parents }
    this.tasks.push(task)
    return task
  }

  #siblingsOf(step: PlanStep, item: string): number {
    return this.#counts.get(keyOf(step.scope.at(-1) as string, parentItem(item))) as number
  }
}
