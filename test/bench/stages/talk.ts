import { monitorEventLoopDelay } from 'node:perf_hooks'
import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { quantilesOf } from '../quantiles.ts'

/**
 * Says as many things as its input asks for, and measures how long it is kept by that. The policy is
 * what its name ends in; `wide` passes on all that is said.
 */
const name = (process.env.WEIR_SERVICE_NAME ?? '').replace(/^stage-/, '')
const policy = name.replace(/^talk-/, '')
const [queue, perSecond] = policy === 'wide' ? [100_000, 100_000] : [100, 100]
Object.assign(process.env, {
  WEIR_EVENTS_POLICY: policy === 'wide' ? 'block' : policy.replace('-', '_'),
  WEIR_EVENTS_QUEUE: String(queue),
  WEIR_EVENTS_PER_SECOND: String(perSecond),
})

type Input = { readonly say?: number; readonly figures?: true }

const loop = monitorEventLoopDelay({ resolution: 10 })
let callMs: number[] = []

/** Since they were last asked for; the loop's own resolution is taken out of its delay. */
function takeFigures() {
  const figures = {
    callP99Ms: callMs.length === 0 ? 0 : quantilesOf(callMs).p99,
    loopP99Ms: Math.max(0, loop.percentile(99) / 1e6 - 10),
    rssMiB: process.memoryUsage.rss() / 1_024 ** 2,
  }
  callMs = []
  loop.reset()
  loop.enable()
  return figures
}
export type TalkFigures = ReturnType<typeof takeFigures>

await runStage(
  defineStage({
    name,
    version: '1.0.0',
    concurrency: 64,
    async run(input, ctx) {
      const { say = 0, figures } = input as Input
      if (figures) return takeFigures()
      for (let row = 1; row <= say; row += 1) {
        const startedAt = performance.now()
        await ctx.event('row.read', { row, of: say })
        callMs.push(performance.now() - startedAt)
      }
      return say
    },
  }),
)
