import { setTimeout as sleep } from 'node:timers/promises'

const inspectorUrl = 'http://127.0.0.1:9229/json/list'
const openMaxMs = 5_000

type Node = {
  readonly id: number
  readonly callFrame: { functionName: string; url: string; lineNumber: number }
  readonly hitCount?: number
  readonly children?: readonly number[]
}
export type Profile = {
  readonly nodes: readonly Node[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/**
 * Takes a CPU profile of a running Node process, through the inspector that SIGUSR1 opens. One
 * process at a time: they would all open the same port.
 */
export async function takeProfile(pid: number, seconds: number): Promise<Profile> {
  process.kill(pid, 'SIGUSR1')
  const socket = new WebSocket(await findInspector())
  const answers = new Map<number, (result: unknown) => void>()
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown }
    if (id !== undefined) answers.get(id)?.(result)
  })
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true })
    socket.addEventListener('error', () => reject(new Error('no inspector')), { once: true })
  })
  let calls = 0
  const call = (method: string, params: object = {}): Promise<unknown> => {
    calls += 1
    const id = calls
    socket.send(JSON.stringify({ id, method, params }))
    return new Promise((resolve) => answers.set(id, resolve))
  }
  await call('Profiler.enable')
  await call('Profiler.setSamplingInterval', { interval: 500 })
  await call('Profiler.start')
  await sleep(seconds * 1_000)
  const { profile } = (await call('Profiler.stop')) as { profile: Profile }
  // Without waiting: the answer's way is closed with the inspector.
  void call('Runtime.evaluate', {
    expression: `setTimeout(() => process.getBuiltinModule('node:inspector').close(), 10)`,
  })
  await sleep(500)
  socket.close()
  return profile
}

async function findInspector(): Promise<string> {
  const deadline = performance.now() + openMaxMs
  for (;;) {
    try {
      const [target] = (await (await fetch(inspectorUrl)).json()) as {
        webSocketDebuggerUrl: string
      }[]
      if (target !== undefined) return target.webSocketDebuggerUrl
    } catch (error) {
      if (performance.now() > deadline) throw error
    }
    await sleep(50)
  }
}

export type HotSpot = { readonly where: string; readonly selfMs: number; readonly totalMs: number }

/** Functions by the time spent in themselves; a recursive one counts once in its total. */
export function hotSpots(profile: Profile, max: number): HotSpot[] {
  const selfMs = new Map<number, number>()
  profile.samples.forEach((id, i) => {
    selfMs.set(id, (selfMs.get(id) ?? 0) + (profile.timeDeltas[i] ?? 0) / 1_000)
  })
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const spots = new Map<string, { selfMs: number; totalMs: number }>()
  const visit = (node: Node, above: ReadonlySet<string>): number => {
    const where = nameOf(node)
    const own = selfMs.get(node.id) ?? 0
    const inside = new Set(above).add(where)
    let total = own
    for (const child of node.children ?? []) {
      const below = nodes.get(child)
      if (below !== undefined) total += visit(below, inside)
    }
    const spot = spots.get(where) ?? { selfMs: 0, totalMs: 0 }
    spot.selfMs += own
    if (!above.has(where)) spot.totalMs += total
    spots.set(where, spot)
    return total
  }
  const [root] = profile.nodes
  if (root !== undefined) visit(root, new Set())
  return [...spots]
    .map(([where, spot]) => ({ where, ...spot }))
    .toSorted((a, b) => b.selfMs - a.selfMs)
    .slice(0, max)
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  const file = url.replace(/^.*\/node_modules\/(?!.*node_modules)/, '').replace(/^file:\/\//, '')
  const short = file.replace(/^.*?\/(?=(?:libs|services|test|deploy)\/)/, '')
  return `${functionName || '(anonymous)'} ${short}${url === '' ? '' : `:${lineNumber + 1}`}`
}

export function formatHotSpots(profile: Profile, max = 40): string {
  const allMs = profile.timeDeltas.reduce((sum, us) => sum + us, 0) / 1_000
  return hotSpots(profile, max)
    .map(({ where, selfMs, totalMs }) => {
      const share = (ms: number) => `${((ms / allMs) * 100).toFixed(1).padStart(5)} %`
      return `${share(selfMs)} self ${share(totalMs)} total  ${where}`
    })
    .join('\n')
}
