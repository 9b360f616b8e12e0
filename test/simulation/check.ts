import {
  childItem,
  digestOf,
  edgeMessageId,
  isTerminal,
  type JobEvent,
  type Plan,
  parentItem,
} from '@weir/contracts'
import { stepOf } from '../../libs/core/src/message/outputs.ts'
import { heldSlots } from '../../libs/core/src/run/held-slots.ts'
import type { JobLog } from './ledger.ts'
import { HORIZON_MS, type World } from './world.ts'

/** The final report of every task, by `step/item`. */
export function decisionsOf(log: JobLog): Map<string, JobEvent> {
  const found = new Map<string, JobEvent>()
  for (const event of log.events) {
    if (event.step === undefined || !FINAL.has(event.type)) continue
    found.set(`${event.step}/${event.item ?? ''}`, event)
  }
  return found
}

const FINAL = new Set(['task.completed', 'task.skipped', 'task.failed', 'task.cancelled'])

const endOf = (log: JobLog) =>
  log.events.filter(({ type }) => type.startsWith('job.') && isTerminal(type.slice(4)))

function divergedSteps(log: JobLog): Set<string> {
  const found = new Set<string>()
  for (const [at, step] of log.state.steps.entries()) {
    if (step.diverged) found.add(log.plan.steps[at]?.name ?? '')
  }
  return found
}

function checkLog(log: JobLog): string[] {
  const { job, events } = log
  const faults: string[] = []
  const ends = endOf(log)
  if (ends.length !== 1) faults.push(`${job} ended ${ends.length} times`)
  if (ends.length === 1 && events.at(-1) !== ends[0]) faults.push(`${job}: events after its end`)
  if (events.some(({ seq }, at) => seq !== at + 1)) faults.push(`${job}: gaps in its log`)
  const decided = new Set<string>()
  for (const { type, step, item = '' } of events) {
    if (!FINAL.has(type)) continue
    if (decided.has(`${step}/${item}`)) faults.push(`${job} ${step}[${item}] was decided twice`)
    decided.add(`${step}/${item}`)
  }
  if (Object.keys(heldSlots(log.state, log.plan)).length > 0) faults.push(`${job} holds slots`)
  return faults
}

/** Items of a step's tasks, from the counts that the ledger knows. */
function itemsOf(plan: Plan, decisions: ReadonlyMap<string, JobEvent>, step: string): string[] {
  let items = ['']
  for (const source of stepOf(plan, step)?.scope ?? []) {
    items = items.flatMap((item) => {
      const fanOut = decisions.get(`${source}/${item}`)?.data.fanOut
      const count = fanOut?.marker === 'items' ? fanOut.count : 0
      return Array.from({ length: count }, (_, at) => childItem(item, at))
    })
  }
  return items
}

/** Promise 3: a run all of whose tasks reported has had one message on each edge and scope. */
function checkMessages(world: World, log: JobLog, diverged: ReadonlySet<string>): string[] {
  const { job, plan } = log
  const decisions = decisionsOf(log)
  const expected = new Set<string>()
  for (const edge of plan.edges) {
    const source = edge.from === null ? undefined : stepOf(plan, edge.from)
    const id = (item: string) =>
      `${edge.index}/${item}/${edgeMessageId(job, 1, String(edge.index), item)}`
    if (source === undefined) expected.add(id(''))
    else if (edge.kind === 'each') {
      for (const item of itemsOf(plan, decisions, edge.to)) expected.add(id(item))
    } else {
      for (const item of itemsOf(plan, decisions, source.name)) expected.add(id(item))
    }
  }
  for (const source of plan.steps) {
    for (const item of itemsOf(plan, decisions, source.name)) {
      const fanOut = decisions.get(`${source.name}/${item}`)?.data.fanOut
      if (fanOut === undefined || (fanOut.marker === 'items' && fanOut.count > 0)) continue
      for (const index of source.closing) {
        expected.add(`${index}/${item}/${edgeMessageId(job, 1, String(index), item)}`)
      }
    }
  }
  const found = new Set<string>()
  for (const { records } of world.logs) {
    for (const { envelope } of records) {
      const { meta } = envelope
      if (envelope.job !== job || !EDGE.has(meta.kind)) continue
      const from = plan.edges[meta.edge]?.from
      // What a step that answered in two ways has sent twice is known and marked.
      if (from != null && diverged.has(from)) continue
      found.add(`${meta.edge}/${meta.item}/${envelope.id}`)
    }
  }
  const faults: string[] = []
  for (const message of expected) {
    const from = plan.edges[Number(message.split('/')[0])]?.from
    if (from != null && diverged.has(from)) continue
    if (!found.has(message)) faults.push(`${job}: no message ${message}`)
  }
  for (const message of found) {
    if (!expected.has(message)) faults.push(`${job}: too many messages ${message}`)
  }
  return faults
}

const EDGE = new Set<string>(['data', 'skipped', 'failed', 'empty'])

type Body = { readonly input: string }

function outputOf(decision: JobEvent | undefined): string | undefined {
  return decision?.type === 'task.completed' ? decision.data.output : undefined
}

/** What a task must have run on, by what the ledger says of the tasks before it. */
function expectedInput(
  log: JobLog,
  decisions: ReadonlyMap<string, JobEvent>,
  step: string,
  item: string,
): string | undefined {
  const { plan, job } = log
  const target = stepOf(plan, step)
  if (target === undefined) return undefined
  const fired = log.events.find(
    (event) => event.type === 'join.fired' && event.step === step && (event.item ?? '') === item,
  )
  const missing = fired?.data.missing ?? decisions.get(`${step}/${item}`)?.data.missing ?? []
  const isMissing = (edge: number, path: string) =>
    missing.some(([index, name]) => index === edge && (name === path || name === '*'))
  const members: string[] = []
  for (const index of target.in) {
    const edge = plan.edges[index]
    if (edge === undefined) continue
    if (edge.from === null) {
      if (target.join === null) return JSON.stringify({ job })
      continue
    }
    if (edge.kind === 'gather') {
      const source = stepOf(plan, edge.from)
      const all = itemsOf(plan, decisions, source?.name ?? '').filter(
        (path) => parentItem(path) === item,
      )
      const present = all.filter((path) => !isMissing(index, path))
      const list = present.flatMap((path) => outputOf(decisions.get(`${edge.from}/${path}`)) ?? [])
      const text = `[${list.join(',')}]`
      if (target.in.length === 1) return text
      members.push(`${JSON.stringify(edge.as)}:${text}`)
      continue
    }
    const decision = decisions.get(`${edge.from}/${edge.kind === 'each' ? parentItem(item) : item}`)
    const isTaken = edge.when === null || decision?.data.taken?.includes(edge.when)
    let output = isTaken ? outputOf(decision) : undefined
    if (output !== undefined && edge.kind === 'each') {
      const element = Number(item.slice(item.lastIndexOf('.') + 1))
      output = JSON.stringify((JSON.parse(output) as unknown[])[element])
    }
    if (target.join === null) return output
    if (output === undefined || isMissing(index, item)) continue
    members.push(`${JSON.stringify(edge.as)}:${output}`)
  }
  return `{${members.join(',')}}`
}

/** What consumers ran on is what the ledger says was sent to them, or the step is marked. */
function checkInputs(log: JobLog, diverged: ReadonlySet<string>): string[] {
  const faults: string[] = []
  const decisions = decisionsOf(log)
  for (const [task, decision] of decisions) {
    const output = outputOf(decision)
    if (output === undefined) continue
    const parsed = JSON.parse(output) as Body | Body[]
    const body = Array.isArray(parsed) ? parsed[0] : parsed
    if (body === undefined) continue
    const slash = task.indexOf('/')
    const step = task.slice(0, slash)
    const sources = sourcesOf(log.plan, step)
    if ([step, ...sources].some((name) => diverged.has(name))) continue
    // A run that ended early has not heard of all that its tasks ran on.
    if (log.fencedAt !== null && sources.some((name) => !isWhole(log, name))) continue
    const wanted = expectedInput(log, decisions, step, task.slice(slash + 1))
    if (wanted === undefined || digestOf(wanted) !== body.input) {
      faults.push(`${log.job} ${task} ran on another input than the ledger's: ${wanted}`)
    }
  }
  return faults
}

/** The steps whose messages a step takes; for a gather also the one that may send the marker. */
function sourcesOf(plan: Plan, step: string): string[] {
  return (stepOf(plan, step)?.in ?? []).flatMap((index) => {
    const edge = plan.edges[index]
    if (edge?.from == null) return []
    const opener = edge.kind === 'gather' ? stepOf(plan, edge.from)?.scope.at(-1) : undefined
    return opener === undefined ? [edge.from] : [edge.from, opener]
  })
}

function isWhole(log: JobLog, step: string): boolean {
  const decisions = decisionsOf(log)
  return [step, ...(stepOf(log.plan, step)?.scope ?? [])].every((name) =>
    itemsOf(log.plan, decisions, name).every((item) => decisions.has(`${name}/${item}`)),
  )
}

/** A result that was written down before it was sent is decided once, whatever ran twice. */
function checkDiverged(
  log: JobLog,
  diverged: ReadonlySet<string>,
  deterministic: boolean,
): string[] {
  return [...diverged]
    .filter((name) => {
      const step = stepOf(log.plan, name)
      return (
        step?.writeOutcome === 'always' ||
        (step?.writeOutcome === 'unless_deterministic' && !deterministic)
      )
    })
    .map((name) => `${log.job} ${name} diverged, and its results are written first`)
}

export type Verdict = {
  readonly faults: readonly string[]
  /** Duplicates came later than the horizon in which they are told from news. */
  readonly isBeyond: boolean
  readonly diverged: number
}

export function checkWorld(world: World, deterministic: boolean, isFickle: boolean): Verdict {
  const faults: string[] = []
  const isBeyond = world.logs.some(({ duplicatedAfterMs }) => duplicatedAfterMs >= HORIZON_MS)
  let divergedCount = 0
  if (!world.isDrained) faults.push('it never came to rest')
  for (const log of world.jobs.values()) {
    faults.push(...checkLog(log))
    if (endOf(log).length !== 1) continue
    const diverged = divergedSteps(log)
    divergedCount += diverged.size
    faults.push(...checkInputs(log, diverged))
    if (isBeyond) continue
    if (log.fencedAt === null) faults.push(...checkMessages(world, log, diverged))
    faults.push(...checkDiverged(log, diverged, deterministic))
    if (!isFickle && diverged.size > 0) {
      faults.push(`${log.job} diverged with handlers that always answer alike: ${[...diverged]}`)
    }
  }
  for (const group of world.groups) {
    for (const [at, owner] of group.owners.entries()) {
      const partition = owner?.partition
      const name = `${group.stage}-${at}`
      if (partition == null || owner?.phase !== 'live') {
        faults.push(`${name} has no owner that works`)
        continue
      }
      const end = owner.log.records.at(-1)?.offset ?? -1
      if (partition.position <= end)
        faults.push(`${name} stands at ${partition.position} of ${end}`)
      if (partition.unfinished > 0) faults.push(`${name}: ${partition.unfinished} unfinished`)
      if (partition.openJoins > 0 && !isBeyond) {
        faults.push(`${name}: ${partition.openJoins} joins left open`)
      }
      const committed = group.commits[at]?.offset ?? 0
      if (committed <= end) faults.push(`${name}: committed ${committed} of ${end + 1}`)
    }
  }
  return { faults, isBeyond, diverged: divergedCount }
}
