import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSchedule, type ScheduleOptions } from './schedule.ts'

/*
 * WEIR_SIMULATION_RUNS sets the number of schedules, WEIR_SIMULATION_SEED=4424 starts at another seed.
 * To see one schedule: both, with RUNS=1; the trace of a schedule that fails is printed.
 */
const runs = Number(process.env.WEIR_SIMULATION_RUNS || 10_000)
const firstSeed = Number(process.env.WEIR_SIMULATION_SEED || 1)
const TRACE_LINES = 400

function describe(seed: number, options: ScheduleOptions, faults: readonly string[]): string {
  let trace: readonly string[] = []
  try {
    trace = runSchedule(seed, { ...options, isTraced: true }).world.trace
  } catch {
    // It throws again; the fault says what.
  }
  return [
    `seed ${seed}: ${faults.join('; ')}`,
    ...trace.slice(-TRACE_LINES),
    `again: WEIR_SIMULATION_SEED=${seed} WEIR_SIMULATION_RUNS=1 node --test test/simulation/simulation.test.ts`,
  ].join('\n')
}

function runAll(count: number, options: ScheduleOptions): { beyond: number; diverged: number } {
  let beyond = 0
  let diverged = 0
  for (let seed = firstSeed; seed < firstSeed + count; seed += 1) {
    const result = runSchedule(seed, options)
    if (result.faults.length > 0) assert.fail(describe(seed, options, result.faults))
    if (result.isBeyond) beyond += 1
    if (result.diverged > 0) diverged += 1
  }
  return { beyond, diverged }
}

test('under crashes, zombies, duplicates and lost acknowledgements every run ends once', () => {
  const count = Math.max(1, Math.ceil(runs * 0.75))
  const { beyond, diverged } = runAll(count, {})
  // Guards against a simulation in which nothing happens: most schedules stay within the horizon,
  // and some of the handlers that answer otherwise are caught.
  if (count < 100) return
  assert.ok(beyond < count * 0.4, `${beyond} of ${count} beyond the horizon`)
  assert.ok(diverged > 0)
})

test('duplicates that come later than the horizon waste work, and nothing hangs', () => {
  runAll(Math.max(1, Math.ceil(runs * 0.25)), { isHard: true })
})

test('the same seed gives the same schedule', () => {
  for (const seed of [firstSeed, firstSeed + 1]) {
    const [one, two] = [1, 2].map(() => runSchedule(seed, { isTraced: true }).world.trace)
    assert.deepEqual(one, two)
  }
})
