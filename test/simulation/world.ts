import {
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  limits,
  type MessageMeta,
  type Plan,
} from '@weir/contracts'
import { inputsOf, type OutputMessage } from '../../libs/core/src/message/outputs.ts'
import type { Command, Task } from '../../libs/core/src/partition/partition.ts'
import { answer, type HandlerRules } from './handlers.ts'
import { createLedger, type EventRecord, type JobLog } from './ledger.ts'
import { createLog, type Draft, type Log } from './log.ts'
import { type Commit, createOwner, type Owner, ownerRecord, type Wrap } from './owner.ts'
import { createRandom, dice } from './random.ts'
import { STAGES } from './shapes.ts'

export const SESSION_MS = 10_000
export const WORK_MS_MAX = 5_000
export const HORIZON_MS = 2 * SESSION_MS + WORK_MS_MAX
const NOT_AFTER_MS = 3_600_000
const PARTITIONS = 2

/** Chances per step of the world; all zero for an undisturbed run. */
export type Faults = {
  readonly crash: number
  /** Chances of a crash right after something landed, and right after a commit. */
  readonly crashAtLand: number
  readonly crashAtCommit: number
  /** How long a crashed instance is away, at most. */
  readonly restartMsMax: number
  /** Share of what was under way at a crash that lands all the same. */
  readonly landsLate: number
  readonly detach: number
  readonly rebalance: number
  /** An owner that reads nothing for a while, as under a backlog. */
  readonly stall: number
  readonly lostAck: number
  readonly duplicate: number
  /** Duplicates of records as old as this. */
  readonly duplicateAgeMs: number
  readonly ledgerCrash: number
  readonly cancel: number
  /** Now and then the clock jumps by up to so much; at any time, or when nothing is under way. */
  readonly jumpMs: number
  readonly quietJumpMs: number
}

export const noFaults: Faults = {
  crash: 0,
  crashAtLand: 0,
  crashAtCommit: 0,
  restartMsMax: 0,
  landsLate: 0,
  detach: 0,
  rebalance: 0,
  stall: 0,
  lostAck: 0,
  duplicate: 0,
  duplicateAgeMs: 0,
  ledgerCrash: 0,
  cancel: 0,
  jumpMs: 0,
  quietJumpMs: 0,
}

export type Setting = {
  readonly seed: number
  readonly jobs: readonly { readonly job: string; readonly plan: Plan }[]
  readonly rules: HandlerRules
  readonly faults: Faults
  readonly steps: number
  /** Share of the steps that let a produced piece land; time between commits; longest handler. */
  readonly pace: {
    readonly deliver: number
    readonly commitEveryMs: number
    readonly workMsMax: number
    readonly retryMsMax: number
  }
  readonly deterministic: boolean
  readonly instalment: number
  readonly bug?: Bug
  readonly isTraced?: boolean
}

/** A bug planted around the real code, by the harness alone. */
export type Bug = {
  readonly wrap?: (log: Log) => Wrap
  /** Changes a command before it is carried out. */
  readonly command?: (command: Produce, world: { report(event: EventRecord): void }) => Produce
  /** Appends count as acknowledged when they are handed over. */
  readonly isAckedEarly?: boolean
}

export type Produce = Extract<Command, { do: 'append' | 'send' }>

type Instance = {
  readonly name: string
  readonly stage: string
  /** up; detached: works on and has lost the group; dead: does nothing until it starts anew. */
  state: 'up' | 'detached' | 'dead'
  until: number
  readonly skewMs: number
  owners: Owner[]
  readonly fences: Set<string>
  controlRead: number
  controlReadAt: number
}

type Group = {
  readonly stage: string
  readonly logs: readonly Log[]
  readonly commits: Commit[]
  readonly owners: (Owner | null)[]
  readonly instances: readonly Instance[]
  generation: number
  /** Since when a rebalance is due. */
  staleSince: number | null
}

type Piece = {
  readonly request: Request
  readonly log: Log | null
  readonly drafts: readonly Draft[]
  readonly event: EventRecord | null
}

type Request = {
  readonly instance: Instance | null
  readonly owner: Owner | null
  readonly bornAt: number
  left: number
  readonly onAck: () => void
}

export type World = {
  readonly nowMs: number
  readonly logs: readonly Log[]
  readonly groups: readonly Group[]
  readonly jobs: ReadonlyMap<string, JobLog>
  readonly handlerRuns: number
  readonly trace: readonly string[]
  readonly isDrained: boolean
}

/** Runs a schedule: a while with faults, then without until nothing moves any more. */
export function runWorld(setting: Setting): World {
  const { faults, rules, bug } = setting
  const random = createRandom(setting.seed)
  const trace: string[] = []
  const say = (line: () => string) => {
    if (setting.isTraced === true) trace.push(`${String(nowMs - startMs).padStart(7)} ${line()}`)
  }
  const startMs = 1_700_000_000_000
  let nowMs = startMs
  let isCalm = false
  let isDrained = false
  let handlerRuns = 0
  const plans = new Map(setting.jobs.map(({ plan }) => [plan.id, plan]))
  const ledger = createLedger()
  const events: EventRecord[] = []
  const control: string[] = []
  const pieces: Piece[] = []
  const runsOf = new Map<string, number>()
  const committedAt = new Map<Owner, number>()
  const stalledUntil = new Map<Owner, number>()

  const groups: Group[] = STAGES.map((stage) => ({
    stage,
    logs: Array.from({ length: PARTITIONS }, (_, partition) => createLog(stage, partition, random)),
    commits: Array.from({ length: PARTITIONS }, () => ({ offset: 0, text: '' })),
    owners: Array.from({ length: PARTITIONS }, () => null),
    instances: ['x', 'y'].map((name) => ({
      name: `${stage}/${name}`,
      stage,
      state: 'up' as const,
      until: 0,
      skewMs: random.between(-1_000, 1_000),
      owners: [],
      fences: new Set<string>(),
      controlRead: 0,
      controlReadAt: nowMs,
    })),
    generation: 0,
    staleSince: nowMs,
  }))
  const logs = groups.flatMap((group) => group.logs)
  const groupOf = (stage: string) => groups.find((group) => group.stage === stage) as Group
  const logFor = (stage: string, key: string) =>
    groupOf(stage).logs[Math.floor(dice(key) * PARTITIONS)] as Log
  const clockOf = (instance: Instance) => nowMs + instance.skewMs

  // ——— producing ———

  const produce = (
    instance: Instance | null,
    owner: Owner | null,
    parts: readonly Omit<Piece, 'request'>[],
    onAck: () => void,
  ) => {
    const request: Request = { instance, owner, bornAt: nowMs, left: parts.length, onAck }
    for (const part of parts) pieces.push({ ...part, request })
    if (parts.length === 0) onAck()
  }

  const isGone = ({ owner, instance }: Request) =>
    owner !== null && (owner.phase === 'lost' || instance?.state === 'dead')

  const land = (piece: Piece) => {
    for (const draft of piece.drafts) {
      const { offset } = (piece.log as Log).append(draft, nowMs)
      say(() => {
        const { job, meta } = draft.envelope
        return `land ${piece.log?.stage}-${piece.log?.partition}@${offset} ${meta.kind} ${job} ${meta.step}[${meta.item}] edge ${meta.edge} #${meta.attempt}${meta.gen === undefined ? '' : ` gen ${meta.gen}`}`
      })
    }
    if (piece.event !== null) {
      const { job, step, report } = piece.event
      say(() => `event ${job} ${step}[${report.item}] ${report.status} #${report.attempt}`)
      events.push(piece.event)
    }
  }

  /** Lets a piece land, with or without its acknowledgement reaching the sender; or not at all. */
  const deliver = (at: number) => {
    const piece = pieces[at] as Piece
    const { request } = piece
    const forget = () => {
      pieces[at] = pieces.at(-1) as Piece
      pieces.pop()
    }
    if (isGone(request)) {
      // Late: the sender is gone, and what was under way lands within its timeout or never.
      const lands =
        !isCalm && nowMs - request.bornAt <= SESSION_MS && random.chance(faults.landsLate)
      if (lands) land(piece)
      forget()
      return
    }
    land(piece)
    if (request.instance !== null && !isCalm && random.chance(faults.crashAtLand)) {
      crash(request.instance)
    }
    const isInTime = nowMs - request.bornAt <= SESSION_MS / 2
    if (!isCalm && isInTime && random.chance(faults.lostAck)) return
    forget()
    request.left -= 1
    if (request.left === 0) request.onAck()
  }

  const messageEnvelope = (source: Envelope, message: OutputMessage): Envelope => {
    const { meta } = source
    const next: MessageMeta = {
      v: 1,
      kind: message.kind,
      run: meta.run,
      plan: meta.plan,
      planOffset: meta.planOffset,
      step: message.target.name,
      edge: message.edge.index,
      item: message.item,
      counts: message.counts,
      attempt: 1,
      priority: meta.priority,
      createdAt: meta.createdAt,
      notAfter: meta.notAfter,
    }
    return { ...source, id: message.id, cause: source.id, meta: next }
  }

  const report = (event: EventRecord, instance: Instance | null, owner: Owner | null) =>
    produce(instance, owner, [{ log: null, drafts: [], event }], () => {})

  const carryOut = (instance: Instance, owner: Owner, given: Produce) => {
    const command = bug?.command?.(given, { report: (event) => report(event, null, null) }) ?? given
    const parts: Omit<Piece, 'request'>[] = []
    if (command.do === 'append') {
      // Through the wire form, so that nothing lives on that a crash would lose.
      const envelope = decodeEnvelope(encodeEnvelope(command.envelope))
      if (typeof envelope === 'string') throw new Error(envelope)
      const draft = { key: command.key, envelope, value: command.value }
      parts.push({ log: owner.log, drafts: [draft], event: null })
    } else {
      const byLog = new Map<Log, Draft[]>()
      for (const message of command.messages) {
        const log = logFor(message.target.stage, message.key)
        const drafts = byLog.get(log) ?? []
        const envelope = messageEnvelope(command.source, message)
        drafts.push({ key: message.key, envelope, value: message.payload })
        byLog.set(log, drafts)
      }
      for (const [log, drafts] of byLog) parts.push({ log, drafts, event: null })
    }
    if (command.report !== null) {
      const { envelope, step, report: said } = command.report
      const { job, meta } = envelope
      parts.push({
        log: null,
        drafts: [],
        event: { job, run: meta.run, step: step.name, report: said },
      })
    }
    if (command.deadLetter !== null) parts.push({ log: null, drafts: [], event: null })
    const onAck = () =>
      command.do === 'append' ? owner.appended(command.token) : owner.sent(command.token)
    if (bug?.isAckedEarly === true && command.do === 'append') {
      produce(instance, owner, parts, () => {})
      onAck()
    } else produce(instance, owner, parts, onAck)
  }

  // ——— groups ———

  const claim = (group: Group, at: number, instance: Instance): Owner => {
    const log = group.logs[at] as Log
    const { generation } = group
    const owner = createOwner(
      log,
      generation,
      {
        horizonMs: HORIZON_MS,
        deterministic: setting.deterministic,
        isFenced: (job, run) => instance.fences.has(`${job}/${run}`),
        retryDelayMs: (_policy, attempt) =>
          Math.floor(dice(setting.seed, 'delay', attempt, nowMs) * setting.pace.retryMsMax),
        joinBytesMax: 64 * 1024 * 1024,
        instalmentOf: () => setting.instalment,
        plan: (id) => plans.get(id) as Plan,
      },
      {
        run: (command) => carryOut(instance, owner, command),
        trace: (line) => say(() => `${instance.name} ${log.partition} ${line()}`),
      },
      bug?.wrap?.(log),
    )
    instance.owners.push(owner)
    const draft: Draft = {
      key: '',
      envelope: ownerRecord(group.stage, generation),
      value: 'null',
    }
    produce(instance, owner, [{ log, drafts: [draft], event: null }], () => {
      owner.phase = 'reading'
    })
    return owner
  }

  const lose = (instance: Instance, owner: Owner) => {
    owner.phase = 'lost'
    instance.owners = instance.owners.filter((each) => each !== owner)
  }

  const rebalance = (group: Group) => {
    const up = group.instances.filter((instance) => instance.state === 'up')
    group.generation += 1
    group.staleSince = up.length === 0 ? nowMs : null
    for (const [at, log] of group.logs.entries()) {
      if (up.length === 0) {
        group.owners[at] = null
        continue
      }
      const chosen = random.pick(up)
      say(() => `${group.stage}-${at} goes to ${chosen.name} in generation ${group.generation}`)
      const kept = chosen.owners.find((owner) => owner.log === log)
      for (const instance of up) {
        for (const owner of instance.owners) {
          if (owner.log === log && owner !== kept) lose(instance, owner)
        }
      }
      kept?.adopt(group.generation)
      group.owners[at] = kept ?? claim(group, at, chosen)
    }
  }

  const crash = (instance: Instance) => {
    if (isCalm || instance.state === 'dead') return
    say(() => `${instance.name} crashes`)
    instance.state = 'dead'
    instance.until = nowMs + random.below(faults.restartMsMax)
    for (const owner of [...instance.owners]) lose(instance, owner)
    // Noticed at once where the connection broke, else when the session times out.
    groupOf(instance.stage).staleSince ??= nowMs - (random.chance(0.7) ? SESSION_MS : 0)
  }

  const isLive = (instance: Instance) => instance.state !== 'dead'

  /** Instances whose time is over start anew; groups that miss an owner for long rebalance. */
  const turn = () => {
    for (const group of groups) {
      for (const instance of group.instances) {
        if (instance.state === 'up' || (nowMs < instance.until && !isCalm)) continue
        for (const owner of [...instance.owners]) lose(instance, owner)
        instance.state = 'up'
        instance.controlReadAt = nowMs
        instance.controlRead = 0
        instance.fences.clear()
        readControl(instance)
        group.staleSince ??= nowMs
      }
      if (group.staleSince !== null && (isCalm || nowMs - group.staleSince >= SESSION_MS)) {
        rebalance(group)
      }
    }
  }

  // ——— what instances do ———

  const readControl = (instance: Instance) => {
    const news = control.slice(instance.controlRead)
    instance.controlRead = control.length
    instance.controlReadAt = nowMs
    for (const job of news) {
      instance.fences.add(`${job}/1`)
      for (const owner of instance.owners) if (owner.partition !== null) owner.fence(job)
    }
  }

  const startTask = (instance: Instance, owner: Owner, task: Task) => {
    // An instance that is behind with the fences starts nothing.
    if (nowMs - instance.controlReadAt > limits.fenceFreshMs) readControl(instance)
    const workMs = setting.faults === noFaults ? 100 : random.below(setting.pace.workMsMax)
    if (owner.start(task, clockOf(instance), workMs)) {
      say(
        () =>
          `${instance.name} starts ${task.envelope.job} ${task.step.name}[${task.envelope.meta.item}] #${task.attempt}`,
      )
    }
  }

  const endTask = (instance: Instance, owner: Owner, task: Task) => {
    const key = `${task.id}/${task.attempt}`
    const nth = (runsOf.get(key) ?? 0) + 1
    runsOf.set(key, nth)
    handlerRuns += 1
    const end = answer(rules, task, nth)
    say(
      () =>
        `${instance.name} ends ${task.envelope.job} ${task.step.name}[${task.envelope.meta.item}] #${task.attempt}: ${end.end === 'retry' ? 'retry' : end.result.status}`,
    )
    owner.end(task, end, clockOf(instance))
  }

  const commit = (group: Group, owner: Owner) => {
    const point = owner.commitPoint()
    if (point === null) return
    if (point.text.length > limits.commitMetadataBytes) throw new Error('metadata too large')
    const at = owner.log.partition
    // The coordinator takes a commit of the current generation only.
    if (group.owners[at] !== owner) return
    const before = group.commits[at] as Commit
    if (point.offset < before.offset) throw new Error('the committed offset went back')
    say(() => `commit ${group.stage}-${at} ${point.offset} ${point.text}`)
    group.commits[at] = point
  }

  const readCommit = (group: Group, instance: Instance, owner: Owner) => {
    say(() => `${instance.name} takes ${group.stage}-${owner.log.partition} over`)
    owner.read(group.commits[owner.log.partition] as Commit, clockOf(instance))
  }

  const stepOwner = (group: Group, instance: Instance, owner: Owner) => {
    if (owner.phase === 'claiming' || owner.phase === 'lost') return
    if (owner.phase === 'reading') {
      readCommit(group, instance, owner)
      return
    }
    const due = [...owner.running].filter(([, { endsAt }]) => endsAt <= clockOf(instance))
    const roll = random.next()
    if (random.chance(faults.stall)) stalledUntil.set(owner, nowMs + random.below(5 * HORIZON_MS))
    const isStalled = (stalledUntil.get(owner) ?? 0) > nowMs
    if (owner.phase === 'refilling' || (roll < 0.45 && !isStalled)) {
      if (owner.foldNext(clockOf(instance))) return
    }
    if (nowMs - (committedAt.get(owner) ?? 0) >= setting.pace.commitEveryMs) {
      committedAt.set(owner, nowMs)
      commit(group, owner)
      if (random.chance(faults.crashAtCommit)) {
        crash(instance)
        return
      }
    }
    if (random.chance(0.7)) for (const task of [...owner.ready]) startTask(instance, owner, task)
    if (roll < 0.65 && owner.ready.size > 0)
      startTask(instance, owner, random.pick([...owner.ready]))
    else if (roll < 0.85 && due.length > 0) endTask(instance, owner, random.pick(due)[0])
    else owner.tick(clockOf(instance))
  }

  const settle = ({ job, fencedAt }: JobLog): boolean => {
    const isQuiet = groups.every((group) =>
      group.instances.every(
        (instance) =>
          !isLive(instance) ||
          (instance.fences.has(`${job}/1`) &&
            instance.owners.every((owner) =>
              [...owner.running.keys()].every((task) => task.envelope.job !== job),
            )),
      ),
    )
    return isQuiet || nowMs - (fencedAt ?? nowMs) >= limits.fenceSettleMs
  }

  const fold = (max: number, crash: boolean) => {
    ledger.fold(events, max, nowMs, crash)
    if (crash) return
    ledger.endRuns(nowMs, settle, (job) => {
      say(() => `fence ${job}`)
      control.push(job)
    })
  }

  const duplicate = () => {
    const log = random.pick(logs)
    const young = log.records.filter(
      ({ envelope }) => nowMs - (log.firstSeen(envelope) ?? 0) < faults.duplicateAgeMs,
    )
    if (young.length === 0) return
    const { key, envelope, value } = random.pick(young)
    say(() => `duplicate of ${envelope.meta.kind} ${envelope.meta.step}[${envelope.meta.item}]`)
    log.append({ key, envelope, value }, nowMs)
  }

  /** Hours pass for what is parked or waits in a join; nothing else is late afterwards. */
  const jumpQuietly = () => {
    const owners = groups.flatMap((group) =>
      group.owners.flatMap((owner) => (owner === null ? [] : [{ group, owner }])),
    )
    const isQuiet = owners.every(
      ({ owner }) =>
        owner.phase === 'live' && owner.behind === 0 && owner.ready.size + owner.running.size === 0,
    )
    if (!isQuiet || pieces.length > 0) return
    for (const { group, owner } of owners) commit(group, owner)
    nowMs += random.below(faults.quietJumpMs)
  }

  const stepWorld = () => {
    const size = random.next()
    nowMs += size < 0.85 ? random.below(20) : size < 0.97 ? random.below(400) : random.below(3_000)
    if (faults.jumpMs > 0 && random.chance(0.004)) nowMs += random.below(faults.jumpMs)
    if (faults.quietJumpMs > 0 && random.chance(0.02)) jumpQuietly()
    turn()
    const group = random.pick(groups)
    const instance = random.pick(group.instances)
    if (random.chance(faults.crash)) crash(instance)
    if (random.chance(faults.detach) && instance.state === 'up') {
      say(() => `${instance.name} loses the group and does not know`)
      instance.state = 'detached'
      instance.until = nowMs + random.below(SESSION_MS)
      group.staleSince ??= nowMs - random.below(SESSION_MS)
    }
    if (random.chance(faults.rebalance)) rebalance(group)
    if (random.chance(faults.duplicate)) duplicate()
    if (random.chance(faults.cancel)) {
      const job = random.pick(setting.jobs).job
      say(() => `cancel ${job}`)
      ledger.requestCancel(job, nowMs)
    }
    // A request is tried for a bounded time.
    const old = pieces.findIndex(({ request }) => nowMs - request.bornAt > SESSION_MS / 2)
    const roll = random.next()
    if (old >= 0) deliver(old)
    else if (roll < 0.06) fold(random.between(1, 5), random.chance(faults.ledgerCrash))
    else if (roll < 0.1 && isLive(instance)) readControl(instance)
    else if (roll < 0.1 + setting.pace.deliver && pieces.length > 0) {
      deliver(random.below(pieces.length))
    } else {
      const working = group.instances.filter((each) => isLive(each) && each.owners.length > 0)
      if (working.length === 0) return
      const worker = random.pick(working)
      stepOwner(group, worker, random.pick(worker.owners))
    }
  }

  // ——— without faults, until nothing moves ———

  /** One round over everything; gives the next time at which something is due. */
  const calmRound = (): { moved: boolean; next: number | null } => {
    let moved = false
    let next: number | null = null
    const wake = (at: number | null) => {
      if (at !== null && at > nowMs) next = next === null ? at : Math.min(next, at)
    }
    turn()
    for (const group of groups) {
      for (const instance of group.instances) {
        if (instance.controlRead < control.length) {
          readControl(instance)
          moved = true
        }
        for (const owner of [...instance.owners]) {
          if (owner.phase === 'reading') readCommit(group, instance, owner)
          if (owner.phase !== 'live' && owner.phase !== 'refilling') continue
          while (owner.foldNext(clockOf(instance))) moved = true
          const due = owner.tick(clockOf(instance))
          wake(due === null ? null : due - instance.skewMs)
          for (const task of [...owner.ready]) {
            startTask(instance, owner, task)
            moved = true
          }
          for (const [task, { endsAt }] of [...owner.running]) {
            if (endsAt > clockOf(instance)) wake(endsAt - instance.skewMs)
            else {
              endTask(instance, owner, task)
              moved = true
            }
          }
          commit(group, owner)
        }
      }
    }
    while (pieces.length > 0) {
      deliver(pieces.length - 1)
      moved = true
    }
    const before = ledger.offset
    fold(1_000, false)
    if (ledger.offset > before) moved = true
    for (const { fencedAt, state } of ledger.jobs.values()) {
      if (fencedAt !== null && !state.ended) wake(fencedAt + limits.fenceSettleMs)
    }
    return { moved, next }
  }

  const drain = (untilMs: number): boolean => {
    for (let round = 0; round < 3_000; round += 1) {
      const { moved, next } = calmRound()
      if (moved) continue
      if (next === null || next > untilMs) return true
      nowMs = next
    }
    return false
  }

  const submit = ({ job, plan }: Setting['jobs'][number]) => {
    ledger.open(job, plan, nowMs)
    const meta: MessageMeta = {
      v: 1,
      kind: 'data',
      run: 1,
      plan: plan.id,
      planOffset: 0,
      step: '',
      edge: 0,
      item: '',
      counts: [],
      attempt: 1,
      priority: 128,
      createdAt: nowMs,
      notAfter: nowMs + NOT_AFTER_MS,
    }
    const source = { ...ownerRecord('', 0), job, tenant: plan.tenant, meta }
    for (const message of inputsOf(plan, job, 1, JSON.stringify({ job }))) {
      const log = logFor(message.target.stage, message.key)
      const envelope = messageEnvelope(source, message)
      const drafts = [{ key: message.key, envelope, value: message.payload }]
      produce(null, null, [{ log, drafts, event: null }], () => {})
    }
  }

  const waiting = [...setting.jobs]
  // All but the first come while faults go on.
  const submitNext = () => {
    const next = waiting.shift()
    if (next !== undefined) submit(next)
  }
  for (const group of groups) rebalance(group)
  submitNext()
  for (let step = 0; step < setting.steps; step += 1) {
    if (random.chance((1.5 * setting.jobs.length) / setting.steps)) submitNext()
    stepWorld()
  }
  while (waiting.length > 0) submitNext()
  isCalm = true
  say(() => 'faults stop')
  // Not up to the runs' not-after: what only expiry would end is stuck.
  isDrained = drain(startMs + NOT_AFTER_MS - 60_000)
  // Everybody starts anew: what a refill brings back must be at rest too.
  for (const group of groups) {
    for (const instance of group.instances) {
      for (const owner of [...instance.owners]) lose(instance, owner)
    }
    rebalance(group)
  }
  say(() => 'everybody starts anew')
  isDrained &&= drain(startMs + NOT_AFTER_MS - 60_000)

  return {
    nowMs,
    logs,
    groups,
    jobs: ledger.jobs,
    handlerRuns,
    trace,
    isDrained,
  }
}
