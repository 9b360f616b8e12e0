import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf, limits } from '@weir/contracts'
import fc from 'fast-check'
import { createEventSink, type SinkPolicy } from './event-sink.ts'
import { createTaskTeller, type TaskEvent, type Telling } from './task-teller.ts'

function start(policy: SinkPolicy, queueMax = 3) {
  let now = 0
  let call: (() => void) | undefined
  const sink = createEventSink<TaskEvent>({
    ...{ policy, queueMax, perSecond: 10, nowMs: () => now },
    after(_, next) {
      call = next
      return () => {
        call = undefined
      }
    },
  })
  const told: Telling[] = []
  const contents: Buffer[] = []
  const teller = createTaskTeller(sink, (telling, content, done) => {
    told.push(telling)
    if (content !== undefined) contents.push(content)
    done()
  })
  const tick = () => {
    now += 100
    const next = call
    call = undefined
    next?.()
  }
  return { sink, teller, told, contents, tick }
}

/** The numbers that a telling accounts for. */
const numbersOf = (telling: Telling): number[] => {
  if (telling.status === 'event') return [telling.event.n]
  if (telling.status === 'artifact') return [telling.artifact.n]
  const { from, to } = telling.lost
  return Array.from({ length: to - from + 1 }, (_, n) => from + n)
}

test('whatever is lost, what is told accounts for every number once and in order', () => {
  const act = fc.constantFrom('event', 'event', 'event', 'large', 'artifact', 'tick')
  const policy = fc.constantFrom<SinkPolicy>('block', 'reject', 'drop_oldest')
  fc.assert(
    fc.property(policy, fc.array(act, { maxLength: 120 }), (policy, acts) => {
      const { teller, told, tick } = start(policy)
      let said = 0
      for (const one of acts) {
        if (one === 'tick') tick()
        else {
          said += 1
          if (one === 'artifact') {
            void teller.artifact({ name: 'a', mediaType: 'text/plain', content: Buffer.from('a') })
          } else void teller.event('said', one === 'large' ? null : `${said}`)
        }
      }
      teller.close()
      assert.deepEqual(
        told.flatMap(numbersOf),
        Array.from({ length: said }, (_, n) => n + 1),
      )
      for (const telling of told) {
        if (telling.status === 'event') assert.equal(telling.event.data, telling.event.n)
        if (telling.status === 'events_lost') {
          const { from, to, count } = telling.lost
          assert.equal(count, to - from + 1)
        }
      }
    }),
  )
})

test('an attempt tells so many events, and one gap for all that are beyond', () => {
  const { teller, told } = start('drop_oldest', limits.eventsPerAttempt)
  for (let n = 0; n < limits.eventsPerAttempt; n += 1) assert.equal(teller.event('e', '1'), true)
  assert.equal(teller.event('e', '1'), false)
  assert.equal(teller.event('e', '1'), false)
  teller.close()
  const lost = { from: 1_001, to: 1_002, count: 2, reason: 'attempt_full' }
  assert.deepEqual(told.at(-1), { status: 'events_lost', lost })
  assert.equal(told.length, limits.eventsPerAttempt + 1)
})

test('an artifact comes after what was said before it, and with its content', async () => {
  const { teller, told, contents } = start('block', 10)
  for (let n = 1; n <= 5; n += 1) void teller.event('row', `${n}`)
  const content = Buffer.from([0, 255, 10])
  await teller.artifact({ name: 'raw.bin', mediaType: 'application/octet-stream', content })
  void teller.event('row', '6')
  teller.close()
  assert.deepEqual(
    told.map((telling) => [telling.status, ...numbersOf(telling)]),
    [...[1, 2, 3, 4, 5].map((n) => ['event', n]), ['artifact', 6], ['event', 7]],
  )
  const [artifact] = told.flatMap((one) => (one.status === 'artifact' ? [one.artifact] : []))
  assert.deepEqual([artifact?.bytes, artifact?.digest], [3, digestOf(content)])
  assert.deepEqual(contents, [content])
})

test('after its end a task tells nothing, and says so', async () => {
  const { teller, told, sink } = start('block')
  teller.close()
  assert.equal(teller.event('late', undefined), false)
  const late = { name: 'late', mediaType: 'text/plain', content: Buffer.from('') }
  await assert.rejects(teller.artifact(late), /has ended/)
  assert.deepEqual([told.length, sink.figures().offered], [0, 0])
})
