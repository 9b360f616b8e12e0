import { setTimeout as pause } from 'node:timers/promises'
import type { Flow, FlowStage } from '@weir/client'
import type { Run } from '../context.ts'
import { callIfThere } from '../missing.ts'
import { formatMs } from '../output/format-time.ts'
import { createLive } from '../output/live.ts'
import { type Paint, stateCell } from '../output/paint.ts'
import { clean, formatTable } from '../output/table.ts'
import { parseInteger } from '../pairs.ts'

type FlowFlags = { readonly watch?: boolean; readonly interval?: string }

export const flow: Run<FlowFlags> = async (context, flags) => {
  const { io, out } = context
  const intervalMs = parseInteger('--interval', flags.interval, 100, 3_600_000) ?? 1_000
  const client = await context.connect()
  const fetchFlow = () =>
    callIfThere(client, '/v1/flow', 'the flow of its stages', () => client.flow())
  const first = await fetchFlow()
  if (flags.watch !== true) {
    await out.show({ data: first, table: (paint) => formatFlow(first, paint), names: () => [] })
    return
  }
  const live = createLive(io)
  const seen = new Map<string, string>()
  for (let now = first; ; now = await fetchFlow()) {
    if (out.isLive) live.draw(formatFlow(now, out.paint))
    else
      for (const stage of changedSince(seen, now)) {
        const { at } = now
        out.line(
          out.format === 'table' ? `${at}  ${formatLine(stage)}` : JSON.stringify({ at, ...stage }),
        )
      }
    await pause(intervalMs, undefined, { signal: io.signal })
  }
}

/** Stages whose gate or level is not what it was when they were last told. */
function changedSince(seen: Map<string, string>, { stages }: Flow): FlowStage[] {
  return stages.filter((one) => {
    const key = `${one.stage} ${one.lane}`
    const facts = JSON.stringify([one.state, one.lag, one.inFlight, one.inFlightLimit, one.reason])
    const isNew = seen.get(key) !== facts
    seen.set(key, facts)
    return isNew
  })
}

function formatLine(one: FlowStage): string {
  const { stage, lane, state, lag, oldestAgeMs, inFlight, inFlightLimit, reason } = one
  const facts = `${stage}  ${lane}  ${state}  lag ${lag ?? '-'}  oldest ${formatMs(oldestAgeMs)}`
  return clean(
    `${facts}  in flight ${inFlight ?? '-'}/${inFlightLimit}${reason ? `  ${reason}` : ''}`,
  )
}

/** The level behind each stage, the waiting room, and the bottleneck in words. */
export function formatFlow({ at, stages, queue, bottleneck }: Flow, paint: Paint): string {
  const rows = stages.map((one) => [
    one.stage,
    one.lane,
    stateCell(one.state),
    one.lag,
    formatMs(one.lagMs),
    formatMs(one.oldestAgeMs),
    one.drainRate === null ? null : `${Math.round(one.drainRate * 10) / 10}/s`,
    `${one.inFlight ?? '-'}/${one.inFlightLimit}`,
    one.reason,
  ])
  const names = [
    'STAGE',
    'LANE',
    'GATE',
    'LAG',
    'LAG TIME',
    'OLDEST',
    'DRAIN',
    'IN FLIGHT',
    'REASON',
  ]
  const waiting = `queue       ${queue.queued ?? '-'} jobs, oldest ${formatMs(queue.oldestAgeMs)}`
  const narrow = bottleneck === null ? 'none' : clean(`${bottleneck.stage}: ${bottleneck.why}`)
  return [
    `at          ${at}`,
    waiting,
    `bottleneck  ${narrow}`,
    '',
    formatTable(names, rows, paint),
  ].join('\n')
}
