import { stageKey, type Topics } from '@weir/contracts'
import type { Producer } from '@weir/kafka'
import {
  asRole,
  getStage,
  INSTALLATION,
  insertAudit,
  listContracts,
  listStages,
  type Pool,
  type Stage,
  type StageContract,
  updateStage,
  upsertContract,
  withTenant,
} from '@weir/postgres'
import type { Logger } from '@weir/runtime'
import { newEntry } from '../audit/entry.ts'
import { findBreak, nearestVersion } from './compatibility.ts'
import type { Instance, Instances } from './instances.ts'
import { toStageRecord } from './stage-record.ts'

export const STAGES_MAX = 1_000
const REFUSED_MAX = 100
const ATTEMPTS_MAX = 5
const TICK_MS = 2_000

export type StageControl = {
  /** Publishes what is wanted of a stage, as of now. */
  publish(ref: string): Promise<void>
  publishAll(): Promise<void>
  /** Why the contracts of a version would be refused; undefined where they are accepted. */
  refusalOf(ref: string, contract: DeclaredContract): Promise<string | undefined>
  /** Writes down contracts that are accepted, before any instance runs them. */
  declare(ref: string, contract: DeclaredContract): Promise<void>
  /** An instance has spoken. */
  heard(instance: Instance): void
  /** Looks at the stages from time to time: what was missed when it happened is done then. */
  start(): void
  stop(): Promise<void>
}

/** What a stage says it takes and gives, as published by its instances or with its registration. */
export type DeclaredContract = {
  readonly version: string
  readonly hash: string
  readonly input?: unknown
  readonly output?: unknown
}

type Deps = {
  readonly pool: Pool
  readonly producer: Producer
  readonly topics: Topics
  readonly instances: Instances
  readonly log: Logger
}

/**
 * Keeps the desired state of stages: accepts or refuses the contracts that instances declare, takes
 * a stage from created over launched to active when its first instance is there, and ends one that
 * terminates when its last instance has gone. Every control instance does this; each change is
 * compared-and-set by the row's version, so that each happens once.
 */
export function createStageControl({ pool, producer, topics, instances, log }: Deps): StageControl {
  const tx = asRole(pool)
  /** Verdicts on contracts that came under a version which has others already. */
  const refused = new Map<string, Map<string, string>>()
  const known = new Set<string>()
  /** Stages to look at, each with the instances whose contracts have no verdict yet. */
  const waiting = new Map<string, Map<string, Instance>>()
  let working: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  async function publish(ref: string): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const [stage, contracts] = await Promise.all([getStage(tx, ref), listContracts(tx, ref)])
      if (stage === undefined) return
      const record = toStageRecord(stage, contracts, refused.get(ref) ?? new Map())
      const value = Buffer.from(JSON.stringify(record))
      await producer.send([{ topic: topics.control, key: stageKey(ref), value, partition: 0 }])
      // Another control may have changed the row and published before this record, which is then
      // the latest of the topic though it is the older one: so look again.
      const after = await getStage(tx, ref)
      if (after === undefined || after.rowVersion === stage.rowVersion) return
    }
  }

  /** Compares and sets; undefined where somebody was faster, then it is looked at again anyway. */
  async function change(
    stage: Stage,
    to: Parameters<typeof updateStage>[3],
  ): Promise<Stage | undefined> {
    const changed = await withTenant(pool, INSTALLATION, async (inside) => {
      const row = await updateStage(inside, stage.ref, stage.rowVersion, to)
      if (row !== undefined && row.state !== stage.state) {
        await insertAudit(inside, INSTALLATION, stateEntry(stage, row))
      }
      return row
    })
    if (changed !== undefined) {
      log.info({ stage: stage.ref, from: stage.state, state: changed.state }, 'stage changed')
      await publish(stage.ref)
    }
    return changed
  }

  async function refusalOf(ref: string, declared: DeclaredContract): Promise<string | undefined> {
    const { version, hash } = declared
    const contracts = await listContracts(tx, ref)
    const own = contracts.find((one) => one.version === version && one.accepted)
    if (own?.hash === hash) return undefined
    if (own !== undefined) return otherContracts(version)
    return findReason(contracts, version, declared)
  }

  async function declare(ref: string, declared: DeclaredContract): Promise<void> {
    const { version, hash } = declared
    const contracts = await listContracts(tx, ref)
    const isKnown = contracts.some(
      (one) => one.version === version && one.hash === hash && one.accepted,
    )
    if (isKnown) return
    await upsertContract(tx, toRow(ref, version, declared, undefined))
    log.info({ stage: ref, version, hash }, 'contracts declared')
    const stage = await getStage(tx, ref)
    // As after each verdict: readers take the record for a newer one.
    if (stage !== undefined) await change(stage, {})
  }

  async function judge(instance: Instance): Promise<void> {
    const { stage: ref, version, kind } = instance.record
    const { contracts: declared } = instance
    if (declared === undefined || known.has(contractId(instance))) return
    const stage = await getStage(tx, ref)
    if (stage === undefined) return
    const contracts = await listContracts(tx, ref)
    const same = contracts.find((one) => one.version === version && one.hash === declared.hash)
    if (same === undefined) {
      const reason = findReason(contracts, version, declared)
      const written = await upsertContract(tx, toRow(ref, version, declared, reason))
      if (written === undefined) refuseSecond(ref, version, declared.hash)
      log.info({ stage: ref, version, hash: declared.hash, reason }, 'contracts judged')
    }
    // A verdict raises the row's version, so that every reader takes the record for a newer one.
    const kindChange = stage.kind === kind ? {} : { kind }
    if (same === undefined || stage.kind !== kind) await change(stage, kindChange)
    known.add(contractId(instance))
  }

  function refuseSecond(ref: string, version: string, hash: string): void {
    const verdicts = refused.get(ref) ?? new Map<string, string>()
    refused.set(ref, verdicts.set(`${version}/${hash}`, otherContracts(version)))
    if (verdicts.size > REFUSED_MAX) verdicts.delete(verdicts.keys().next().value as string)
  }

  async function reconcile(ref: string, unheard: Iterable<Instance>): Promise<void> {
    for (const instance of unheard) await judge(instance)
    let stage = await getStage(tx, ref)
    if (stage === undefined) return
    const live = instances.liveOf(ref)
    if (stage.state === 'created' && live.length > 0) {
      stage = (await change(stage, { state: 'launched' })) ?? stage
    }
    if (stage.state === 'launched' && stage.autoActivate) {
      const contracts = await listContracts(tx, ref)
      const isAccepted = live.some((instance) =>
        contracts.some(
          ({ accepted, version, hash }) =>
            accepted && version === instance.record.version && hash === instance.contracts?.hash,
        ),
      )
      if (isAccepted) await change(stage, { state: 'active' })
    }
    if (stage.state === 'terminating' && live.length === 0) {
      await change(stage, { state: 'terminated' })
    }
  }

  function wake(): void {
    working ??= work().finally(() => {
      working = undefined
      if (waiting.size > 0) wake()
    })
  }

  async function work(): Promise<void> {
    for (const [ref, unheard] of waiting) {
      waiting.delete(ref)
      try {
        await reconcile(ref, unheard.values())
      } catch (error) {
        // The next record of an instance, or the next tick, tries again.
        log.warn({ err: error, stage: ref }, 'a stage could not be looked at')
      }
    }
  }

  function add(ref: string, instance?: Instance): void {
    const unheard = waiting.get(ref) ?? new Map<string, Instance>()
    waiting.set(ref, unheard)
    if (instance !== undefined) unheard.set(contractId(instance), instance)
  }

  async function tick(): Promise<void> {
    const stages = await listStages(tx, STAGES_MAX)
    for (const { ref, state } of stages) {
      if (state === 'created' || state === 'launched' || state === 'terminating') {
        add(ref)
        // An instance that spoke before its stage was registered is heard now.
        for (const instance of instances.liveOf(ref)) add(ref, instance)
      }
    }
    wake()
  }

  return {
    publish,
    refusalOf,
    declare,
    publishAll: async () => {
      for (const { ref } of await listStages(tx, STAGES_MAX)) await publish(ref)
    },
    heard: (instance) => {
      if (instance.contracts === undefined || known.has(contractId(instance))) return
      add(instance.record.stage, instance)
      wake()
    },
    start: () => {
      timer = setInterval(() => {
        tick().catch((error) => log.warn({ err: error }, 'the stages could not be looked at'))
      }, TICK_MS).unref()
    },
    stop: async () => {
      clearInterval(timer)
      waiting.clear()
      await working
    },
  }
}

const stateEntry = ({ ref, state: from }: Stage, { state: to }: Stage) =>
  newEntry('stage.state', { from, to }, { actor: 'weir', object: `stage:${ref}`, requestId: '' })

const contractId = ({ record, contracts }: Instance): string =>
  `${record.stage} ${record.version}/${contracts?.hash}`

const otherContracts = (version: string): string =>
  `version ${version} has other contracts already: raise the version`

const toRow = (
  stage: string,
  version: string,
  declared: Omit<DeclaredContract, 'version'>,
  reason: string | undefined,
): Omit<StageContract, 'createdAt'> => ({
  stage,
  version,
  hash: declared.hash,
  input: JSON.stringify(declared.input ?? {}),
  output: JSON.stringify(declared.output ?? {}),
  accepted: reason === undefined,
  reason: reason ?? null,
})

function findReason(
  contracts: readonly StageContract[],
  version: string,
  declared: Pick<DeclaredContract, 'input' | 'output'>,
): string | undefined {
  const accepted = contracts.filter((one) => one.accepted)
  const nearest = nearestVersion(version, accepted)
  if (nearest === undefined) return undefined
  const other = {
    version: nearest.other.version,
    input: JSON.parse(nearest.other.input),
    output: JSON.parse(nearest.other.output),
  }
  const own = { version, input: declared.input ?? {}, output: declared.output ?? {} }
  return nearest.isOlder ? findBreak(other, own) : findBreak(own, other)
}
