import { FAILURE_MODES } from '@weir/contracts'
import { checkWorld, decisionsOf, type Verdict } from './check.ts'
import { createRandom } from './random.ts'
import { planOf, shapes } from './shapes.ts'
import {
  type Bug,
  type Faults,
  HORIZON_MS,
  noFaults,
  runWorld,
  SESSION_MS,
  type Setting,
  WORK_MS_MAX,
  type World,
} from './world.ts'

export type ScheduleOptions = {
  readonly bug?: Bug
  readonly isTraced?: boolean
  /** Duplicates may come later than the horizon. */
  readonly isHard?: boolean
}

/** What a seed stands for: pipelines, handlers, faults. */
export function settingOf(seed: number, options: ScheduleOptions = {}): Setting {
  const random = createRandom(seed * 7919 + 17)
  const isFickle = random.chance(0.4)
  const isSmooth = random.chance(0.2)
  const count = random.between(1, 4)
  const jobs = Array.from({ length: count }, (_, at) => ({
    job: `job${at}`,
    plan: planOf(random.pick(shapes), random.pick(FAILURE_MODES)),
  }))
  const level = random.pick([0.2, 0.5, 1, 3])
  const faults: Faults = {
    crash: 0.006 * level,
    crashAtLand: random.pick([0, 0.02, 0.1]),
    crashAtCommit: random.pick([0, 0.02, 0.1]),
    restartMsMax: random.pick([300, 3_000, SESSION_MS]),
    landsLate: random.pick([0.1, 0.5, 0.9]),
    detach: 0.004 * Math.min(level, 2),
    rebalance: 0.006 * level,
    stall: random.pick([0, 0, 0.005]),
    lostAck: random.pick([0, 0.05, 0.2]),
    duplicate: random.pick([0, 0.01, 0.03]),
    duplicateAgeMs: options.isHard === true ? 20 * HORIZON_MS : HORIZON_MS - 1,
    ledgerCrash: 0.2,
    cancel: random.chance(0.1) ? 0.002 : 0,
    quietJumpMs: random.pick([0, 3 * HORIZON_MS]),
    jumpMs: random.chance(0.3) ? (options.isHard === true ? 4 * HORIZON_MS : 15_000) : 0,
  }
  return {
    seed,
    jobs,
    rules: {
      seed,
      isFickle,
      fails: isSmooth ? 0 : random.pick([0, 0.05, 0.2]),
      skips: isSmooth ? 0 : random.pick([0, 0.05, 0.2]),
      cancels: isSmooth || random.chance(0.7) ? 0 : 0.05,
      retries: random.pick([0, 0.1, 0.4, 0.6]),
    },
    faults,
    steps: random.between(200, 1_500),
    pace: {
      deliver: random.pick([0.08, 0.2, 0.4]),
      commitEveryMs: random.pick([100, 1_000, 3_000]),
      workMsMax: random.pick([100, 1_000, WORK_MS_MAX]),
      retryMsMax: random.pick([2_000, 12_000, 80_000]),
    },
    deterministic: !isFickle && random.chance(0.5),
    instalment: random.pick([1, 2, Number.POSITIVE_INFINITY]),
    ...(options.bug === undefined ? {} : { bug: options.bug }),
    ...(options.isTraced === undefined ? {} : { isTraced: options.isTraced }),
  }
}

function resultsOf(world: World): Map<string, string> {
  const results = new Map<string, string>()
  for (const log of world.jobs.values()) {
    for (const [task, { type, data }] of decisionsOf(log)) {
      results.set(`${log.job} ${task}`, `${type} ${data.output ?? ''}`)
    }
    results.set(log.job, log.state.status)
  }
  return results
}

/** True where neither order nor crashes may change what a run gives. */
function isComparable({ rules, jobs, faults }: Setting): boolean {
  if (rules.isFickle || rules.cancels > 0 || faults.cancel > 0) return false
  return jobs.every(({ plan }) => {
    const isEarly = plan.steps.some(
      ({ join }) => join !== null && (join.policy !== 'all' || join.timeoutMs !== null),
    )
    const isFast = plan.onFailure === 'fail_fast' && (rules.fails > 0 || rules.retries > 0)
    return !isEarly && !isFast
  })
}

export type ScheduleResult = Verdict & { readonly world: World }

export function runSchedule(seed: number, options: ScheduleOptions = {}): ScheduleResult {
  const setting = settingOf(seed, options)
  const { rules, deterministic } = setting
  const world = runWorld(setting)
  const verdict = checkWorld(world, deterministic, rules.isFickle)
  const faults = [...verdict.faults]
  if (faults.length === 0 && !verdict.isBeyond && isComparable(setting)) {
    const { bug: _bug, ...sound } = setting
    const wanted = resultsOf(runWorld({ ...sound, faults: noFaults, steps: 0, isTraced: false }))
    const found = resultsOf(world)
    for (const [task, result] of wanted) {
      if (found.get(task) !== result) {
        faults.push(`${task} gave ${found.get(task)}, undisturbed ${result}`)
      }
    }
    if (wanted.size !== found.size) faults.push(`${found.size} results, undisturbed ${wanted.size}`)
  }
  return { ...verdict, faults, world }
}
