import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createEventSink, SINK_POLICIES, type SinkOwner, type SinkPolicy } from './event-sink.ts'

type Options = {
  readonly policy: SinkPolicy
  readonly queueMax: number
  readonly perSecond: number
}

/** A sink under a clock of its own, before a Kafka that answers when it is told to. */
function start(options: Options) {
  let now = 0
  let timer: { at: number; call: () => void } | undefined
  const acks: ((error?: Error) => void)[] = []
  const delivered: { by: string; entry: number }[] = []
  const lost: { by: string; entry: number; reason: string }[] = []
  let isAway = false
  const sink = createEventSink<number>({
    ...options,
    nowMs: () => now,
    after(ms, call) {
      timer = { at: now + ms, call }
      return () => {
        timer = undefined
      }
    },
  })
  const ownerOf = (by: string): SinkOwner<number> => ({
    deliver(entry, done) {
      delivered.push({ by, entry })
      if (isAway) acks.push(done)
      else done(undefined)
    },
    lose: (entry, reason) => lost.push({ by, entry, reason }),
  })
  return {
    sink,
    ownerOf,
    delivered,
    lost,
    tick(ms: number) {
      const until = now + ms
      while (timer !== undefined && timer.at <= until) {
        now = timer.at
        const { call } = timer
        timer = undefined
        call()
      }
      now = until
    },
    away() {
      isAway = true
    },
    back(error?: Error) {
      isAway = false
      for (const ack of acks.splice(0)) ack(error)
    },
  }
}

function assertBooks({ sink, delivered, lost }: ReturnType<typeof start>): void {
  const { offered, queued, waiting, underWay, lost: by, ...figures } = sink.figures()
  const dropped = Object.values(by).reduce((sum, count) => sum + count, 0)
  assert.equal(offered, figures.delivered + dropped + queued + waiting + underWay)
  assert.equal(delivered.length, figures.delivered + by.send_failed + underWay)
  assert.equal(lost.length, by.queue_full + by.send_failed)
}

test('at every moment each event is delivered, lost for a reason, waiting or under way, and all are bounded', () => {
  const act = fc.oneof(
    fc.record({
      do: fc.constant('offer' as const),
      by: fc.nat(3),
      count: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ do: fc.constant('flush' as const), by: fc.nat(3) }),
    fc.record({ do: fc.constant('tick' as const), ms: fc.nat(300) }),
    fc.record({ do: fc.constantFrom('away' as const, 'back' as const, 'fail' as const) }),
  )
  const run = fc.record({
    policy: fc.constantFrom(...SINK_POLICIES),
    queueMax: fc.integer({ min: 1, max: 8 }),
    perSecond: fc.integer({ min: 1, max: 200 }),
    acts: fc.array(act, { maxLength: 80 }),
  })
  fc.assert(
    fc.property(run, ({ acts, ...options }) => {
      const world = start(options)
      const owners = ['a', 'b', 'c', 'd'].map(world.ownerOf)
      const { sink, delivered, lost } = world
      let entry = 0
      for (const one of acts) {
        if (one.do === 'offer') {
          for (let i = 0; i < one.count; i += 1) void sink.offer(owners[one.by] as never, ++entry)
        } else if (one.do === 'flush') sink.flush(owners[one.by] as never)
        else if (one.do === 'tick') world.tick(one.ms)
        else if (one.do === 'away') world.away()
        else world.back(one.do === 'fail' ? new Error('away') : undefined)
        assertBooks(world)
        const { queued, waiting, underWay } = sink.figures()
        assert.ok(queued <= options.queueMax && waiting <= options.queueMax)
        assert.ok(underWay <= 2 * options.queueMax)
      }
      for (const by of ['a', 'b', 'c', 'd']) {
        const own = delivered.filter((one) => one.by === by).map((one) => one.entry)
        assert.deepEqual(
          own,
          own.toSorted((one, other) => one - other),
          'in their order',
        )
      }
      const gone = lost.filter(({ reason }) => reason === 'queue_full').map((one) => one.entry)
      assert.deepEqual(
        gone.filter((one) => delivered.some(({ entry: other }) => other === one)),
        [],
        'never both',
      )
    }),
  )
})

/** 900 events a second for so long, by handlers that do not wait. */
function overflow(policy: SinkPolicy, seconds: number) {
  const world = start({ policy, queueMax: 100, perSecond: 100 })
  const owner = world.ownerOf('loud')
  const answers: boolean[] = []
  const isNewest: boolean[] = []
  let offered = 0
  for (let at = 0; at < seconds * 900; at += 1) {
    const before = world.delivered.length
    const taken = world.sink.offer(owner, ++offered)
    if (typeof taken === 'boolean') answers.push(taken)
    world.tick(1_000 / 900)
    assert.ok(world.sink.figures().queued <= 100)
    for (const { entry } of world.delivered.slice(before)) isNewest.push(entry > offered - 102)
  }
  return { ...world, offered, answers, isNewest }
}

test('drop_oldest under 900 a second and a pace of 100 loses what theory says, and lets only the newest through', () => {
  const { sink, offered, isNewest, answers } = overflow('drop_oldest', 60)
  const { lost } = sink.figures()
  const share = lost.queue_full / offered
  assert.ok(Math.abs(share - (1 - 100 / 900)) < 0.02, `${share}`)
  assert.ok(isNewest.length > 5_000 && isNewest.every(Boolean))
  assert.ok(answers.every(Boolean), 'whoever says it is not told')
})

test('reject tells whoever says it at once, and counts as lost exactly what it has refused', () => {
  const { sink, answers, offered } = overflow('reject', 20)
  const refused = answers.filter((taken) => !taken).length
  assert.equal(answers.length, offered, 'no answer is waited for')
  assert.equal(sink.figures().lost.queue_full, refused)
  assert.ok(Math.abs(refused / offered - (1 - 100 / 900)) < 0.02)
})

test('block loses nothing of handlers that wait, through a time without Kafka, and all of it comes through afterwards', async () => {
  const world = start({ policy: 'block', queueMax: 100, perSecond: 100 })
  const { sink, ownerOf, tick, away, back, delivered, lost } = world
  let said = 0
  /** A handler that says 300 things, each when the one before was taken. */
  const handler = async (by: string) => {
    const owner = ownerOf(by)
    for (let n = 1; n <= 300; n += 1) {
      said += 1
      assert.equal(await sink.offer(owner, n), true)
    }
  }
  const handlers = Promise.all(['a', 'b', 'c'].map(handler))
  const turn = () => new Promise(setImmediate)
  for (let second = 0; second < 12; second += 1) {
    if (second === 2) away()
    if (second === 7) back()
    for (let step = 0; step < 100; step += 1) {
      tick(10)
      if (step % 10 === 0) await turn()
    }
    assertBooks(world)
  }
  await handlers
  tick(2_000)
  assert.equal(said, 900)
  assert.deepEqual([delivered.length, lost.length, sink.figures().queued], [900, 0, 0])
})

test('the end of a task does not wait where losses are allowed: what the pace allows goes at once, the rest never', () => {
  for (const policy of ['reject', 'drop_oldest'] as const) {
    const { sink, ownerOf, tick, delivered, lost } = start({ policy, queueMax: 10, perSecond: 10 })
    const ending = ownerOf('ending')
    for (let n = 1; n <= 20; n += 1) void sink.offer(ending, n)
    assert.equal(delivered.length, 10, 'what was saved up in silence')
    assert.equal(sink.drained(ending), undefined)
    tick(99)
    sink.flush(ending)
    assert.deepEqual([delivered.length, lost.length, sink.figures().queued], [10, 10, 0], policy)
    tick(10_000)
    for (let n = 21; n <= 40; n += 1) void sink.offer(ending, n)
    sink.flush(ending)
    assert.deepEqual([delivered.length, lost.length], [20, 20], 'the pace holds over many tasks')
  }
})

test('under block the end of a task waits until nothing of it waits any more', async () => {
  const { sink, ownerOf, tick, delivered } = start({ policy: 'block', queueMax: 4, perSecond: 10 })
  const [ending, other] = [ownerOf('ending'), ownerOf('other')]
  assert.equal(sink.drained(ending), undefined)
  for (let n = 1; n <= 10; n += 1) void sink.offer(n % 2 === 0 ? ending : other, n)
  const drained = sink.drained(ending)
  assert.ok(drained instanceof Promise)
  let isOver = false
  void drained.then(() => {
    isOver = true
  })
  for (let step = 0; step < 5; step += 1) {
    tick(100)
    await Promise.resolve()
    assert.equal(isOver, false)
  }
  tick(100)
  await drained
  assert.deepEqual(
    delivered.map(({ entry }) => entry),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
})

test('under block what goes ahead of an artifact is not lost, and the pace makes up for it', () => {
  const { sink, ownerOf, tick, delivered } = start({ policy: 'block', queueMax: 4, perSecond: 10 })
  const owner = ownerOf('a')
  for (let n = 1; n <= 8; n += 1) void sink.offer(owner, n)
  sink.flush(owner)
  assert.equal(delivered.length, 8)
  void sink.offer(owner, 9)
  tick(400)
  assert.equal(delivered.length, 8)
  tick(200)
  assert.equal(delivered.length, 9)
})
