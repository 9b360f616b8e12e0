import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { connectKafka, createAdmin } from '@weir/kafka'
import type { Answer, FeederAnswer, FeederOrder, SinkAnswer, SinkOrder } from './messages.ts'

const partitions = 4
const startMaxMs = 30_000
const roundMaxMs = 120_000
const stopMaxMs = 10_000
const silent = { debug() {}, info() {}, warn() {}, error() {} }

export type Round = { readonly fed: FeederAnswer; readonly drained: SinkAnswer }

/** Feeder → stage1 → stage2 → stage3 → sink, each a process of its own, with the raw client. */
export type Chain = {
  readonly pids: Readonly<Record<string, number>>
  /** Feeds one round and waits until every item has come out; throws where one was lost or wrong. */
  run(order: Omit<FeederOrder, 'round'>): Promise<Round>
  stop(): Promise<void>
}

let chains = 0

export async function startChain(brokers: string): Promise<Chain> {
  chains += 1
  const topics = Array.from({ length: 4 }, (_, hop) => `baseline.${process.pid}.${chains}.${hop}`)
  // Only the work is done with the raw client: its admin may not find the topics it has just made.
  const admin = createAdmin({
    kafka: connectKafka({ brokers: brokers.split(','), clientId: 'baseline-admin', log: silent }),
  })
  await admin.createTopics(topics.map((topic) => ({ topic, partitions })))

  const start = (program: string, ...args: string[]): ChildProcess =>
    fork(join(import.meta.dirname, `${program}.ts`), args, {
      env: {
        PATH: process.env.PATH,
        BENCH_BROKERS: brokers,
        KAFKAJS_NO_PARTITIONER_WARNING: '1',
        NODE_NO_WARNINGS: '1',
      },
      execArgv: [],
    })
  const [t0 = '', t1 = '', t2 = '', t3 = ''] = topics
  const children = {
    sink: start('sink', t3),
    stage3: start('stage', t2, t3),
    stage2: start('stage', t1, t2),
    stage1: start('stage', t0, t1),
    feeder: start('feeder', t0),
  }
  const stop = async (): Promise<void> => {
    await Promise.all(Object.values(children).map(stopChild))
    await admin.deleteTopics(topics).catch(() => {})
    await admin.disconnect()
  }
  try {
    await Promise.all(Object.values(children).map((child) => waitFor(child, 'ready', startMaxMs)))
  } catch (error) {
    await stop()
    throw error
  }

  let round = 0
  return {
    pids: Object.fromEntries(
      Object.entries(children).map(([name, child]) => [name, child.pid ?? 0]),
    ),
    async run(order) {
      round += 1
      children.sink.send({ round, count: order.count } satisfies SinkOrder)
      const answers = Promise.all([
        waitFor(children.feeder, 'fed', roundMaxMs),
        waitFor(children.sink, 'drained', roundMaxMs),
      ])
      children.feeder.send({ ...order, round } satisfies FeederOrder)
      const [fed, drained] = (await answers) as [FeederAnswer, SinkAnswer]
      if (drained.wrong > 0) throw new Error(`baseline: ${drained.wrong} items came out wrong`)
      return { fed, drained }
    },
    stop,
  }
}

function waitFor(child: ChildProcess, kind: Answer['kind'], maxMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      child.off('message', onMessage).off('exit', onExit)
      settle()
    }
    const onMessage = (message: Answer): void => {
      if (message.kind === kind) end(() => resolve(message))
    }
    const onExit = (): void => end(() => reject(new Error(`baseline: ${child.spawnfile} ended`)))
    const timer = setTimeout(
      () => end(() => reject(new Error(`baseline: not "${kind}" within ${maxMs} ms`))),
      maxMs,
    )
    child.on('message', onMessage).on('exit', onExit)
  })
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const killer = setTimeout(() => child.kill('SIGKILL'), stopMaxMs)
  await gone
  clearTimeout(killer)
}
