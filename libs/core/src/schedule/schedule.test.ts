import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bandOf, type Lane } from '@weir/contracts'
import fc from 'fast-check'
import { createSchedule, type Place } from './schedule.ts'

const place = fc.record({
  lane: fc.constantFrom<Lane>('high', 'normal'),
  tenant: fc.constantFrom('a', 'b', 'c'),
  priority: fc.integer({ min: 0, max: 255 }),
})
const action = fc.oneof(
  { weight: 3, arbitrary: place.map((at) => ({ do: 'add' as const, at })) },
  { weight: 2, arbitrary: fc.constant({ do: 'take' as const }) },
  { weight: 1, arbitrary: fc.nat(20).map((which) => ({ do: 'end' as const, which })) },
)

test('everything starts once, in order of band and arrival, never over the bounds', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(action, { maxLength: 200 }), (n, acts) => {
      const schedule = createSchedule<number>({ concurrency: n })
      const waiting: { id: number; at: Place }[] = []
      const running: Place[] = []
      let ids = 0
      const take = () => {
        const present = new Set([
          ...waiting.map(({ at }) => at.tenant),
          ...running.map((r) => r.tenant),
        ])
        const taken = schedule.take()
        const runs = (tenant: string) => running.filter((r) => r.tenant === tenant).length
        const share = Math.ceil(n / Math.max(1, present.size))
        if (taken === undefined) {
          const isIdle = running.length < n && waiting.some(({ at }) => runs(at.tenant) < share)
          assert.equal(isIdle, false, 'something may start and does not')
          return
        }
        assert.ok(running.length < n)
        assert.ok(runs(taken.place.tenant) < share, 'a tenant runs more than its share')
        const index = waiting.findIndex(({ id }) => id === taken.item)
        assert.notEqual(index, -1, 'it was not waiting')
        const { lane, tenant, priority } = taken.place
        waiting.splice(index, 1)
        for (const other of waiting) {
          if (other.at.lane !== lane || other.at.tenant !== tenant) continue
          const isBefore: boolean =
            bandOf(other.at.priority) > bandOf(priority) ||
            (bandOf(other.at.priority) === bandOf(priority) && other.id < taken.item)
          assert.equal(isBefore, false, 'another one was before it')
        }
        running.push(taken.place)
      }
      for (const act of acts) {
        if (act.do === 'add') {
          ids += 1
          schedule.add(ids, act.at)
          waiting.push({ id: ids, at: act.at })
        } else if (act.do === 'take') take()
        else if (running.length > 0) {
          const [ended] = running.splice(act.which % running.length, 1)
          schedule.end(ended as Place)
        }
        assert.equal(schedule.size, waiting.length)
        assert.equal(schedule.running, running.length)
      }
    }),
  )
})

test('the lower lane gets one start in five while the higher one is never empty', () => {
  const schedule = createSchedule<number>({ concurrency: 1 })
  for (let i = 0; i < 100; i += 1) {
    schedule.add(i, { lane: 'high', tenant: 'a', priority: 200 })
    schedule.add(i, { lane: 'normal', tenant: 'b', priority: 100 })
  }
  const lanes: Lane[] = []
  for (let i = 0; i < 50; i += 1) {
    const taken = schedule.take()
    assert.ok(taken)
    lanes.push(taken.place.lane)
    schedule.end(taken.place)
  }
  for (let from = 0; from < 50; from += 5) {
    assert.equal(lanes.slice(from, from + 5).filter((lane) => lane === 'normal').length, 1)
  }
})

test('a tenant with a flood does not delay the next start of another by more than one', () => {
  const schedule = createSchedule<string>({ concurrency: 1 })
  for (let i = 0; i < 1000; i += 1)
    schedule.add('flood', { lane: 'normal', tenant: 'a', priority: 1 })
  for (let i = 0; i < 10; i += 1)
    schedule.add('small', { lane: 'normal', tenant: 'b', priority: 1 })
  const starts: string[] = []
  for (let i = 0; i < 20; i += 1) {
    const taken = schedule.take()
    assert.ok(taken)
    starts.push(taken.item)
    schedule.end(taken.place)
  }
  assert.equal(starts.filter((who) => who === 'small').length, 10)
})

test('a tenant alone may use all that can run at once', () => {
  const schedule = createSchedule<number>({ concurrency: 4 })
  for (let i = 0; i < 9; i += 1) schedule.add(i, { lane: 'normal', tenant: 'a', priority: 1 })
  for (let i = 0; i < 4; i += 1) assert.ok(schedule.take())
  assert.equal(schedule.take(), undefined)
})
