import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bugs } from './bugs.ts'
import { runSchedule } from './schedule.ts'
import type { Bug } from './world.ts'

const SCHEDULES_MAX = 2_500

function findFault(bug: Bug): { seed: number; fault: string } | undefined {
  for (let seed = 1; seed <= SCHEDULES_MAX; seed += 1) {
    try {
      const [fault] = runSchedule(seed, { bug }).faults
      if (fault !== undefined) return { seed, fault }
    } catch (error) {
      return { seed, fault: String(error) }
    }
  }
  return undefined
}

for (const [name, bug] of Object.entries(bugs)) {
  test(`the simulation finds that ${name}`, (t) => {
    const found = findFault(bug)
    assert.ok(found !== undefined, `not found in ${SCHEDULES_MAX} schedules`)
    t.diagnostic(`seed ${found.seed}: ${found.fault}`)
  })
}
