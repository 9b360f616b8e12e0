/**
 * What a host is worth, apart from Weir: `node test/bench/host.ts`, some 20 s. Arithmetic, reads of
 * memory in random order, and an echo between two processes over loopback, hot (one after the other)
 * and cold (after a pause). Prints a table. Figures of two hosts can only be compared through these.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { describeMachine, describeVersions, readLoad } from './machine.ts'
import { medianOf } from './quantiles.ts'

const LINE_BYTES = 64
const STEPS = 100_000_000
const READS = 3_000_000
const HOT_ECHOES = 20_000
const COLD_ECHOES = 1_000
const COLD_PAUSE_MS = 5

if (process.argv[2] === 'echo') echo()
else await measure()

async function measure(): Promise<void> {
  const { cpu, cores, kernel } = describeMachine()
  const load = readLoad()
  const rows: [what: string, figure: string][] = [
    ['a step of dependent arithmetic', `${stepNs().toFixed(2)} ns`],
    ...[256, 16 * 1_024, 128 * 1_024].map((kib): [string, string] => [
      `a read in random order among ${kib < 1_024 ? `${kib} KiB` : `${kib / 1_024} MiB`}`,
      `${readNs(kib * 1_024).toFixed(1)} ns`,
    ]),
  ]
  const child = fork(import.meta.filename, ['echo'])
  try {
    const [port] = (await once(child, 'message')) as [number]
    const socket = connect(port, '127.0.0.1').setNoDelay(true)
    await once(socket, 'connect')
    for (const [what, count, pauseMs] of [
      ['hot', HOT_ECHOES, 0],
      [`${COLD_PAUSE_MS} ms apart`, COLD_ECHOES, COLD_PAUSE_MS],
    ] as const) {
      const { medianUs, cpuUs } = await measureEchoes(child, socket, count, pauseMs)
      rows.push([`an echo, ${what}: median`, `${medianUs.toFixed(0)} µs`])
      rows.push([`an echo, ${what}: CPU of both processes`, `${cpuUs.toFixed(0)} µs`])
    }
    socket.destroy()
  } finally {
    child.kill()
  }
  const at = new Date().toISOString().slice(0, 10)
  console.log(
    `Measured ${at} on ${cores} cores (${cpu}), ${kernel}, Node ${describeVersions().node}; load ${load.loadAverage1.toFixed(2)}.\n`,
  )
  console.log(['|  |  |', '|---|--:|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n'))
}

/** Each step needs the result of the one before: a multiplication and an addition. */
function stepNs(): number {
  const run = (steps: number): number => {
    let x = 0
    for (let step = 0; step < steps; step += 1) x = (Math.imul(x, 31) + step) | 0
    return x
  }
  run(STEPS / 10)
  const startedAt = performance.now()
  run(STEPS)
  return ((performance.now() - startedAt) * 1e6) / STEPS
}

/** Follows one cycle through all cache lines of a block: no read can begin before the one before ends. */
function readNs(bytes: number): number {
  const lines = bytes / LINE_BYTES
  const stride = LINE_BYTES / Uint32Array.BYTES_PER_ELEMENT
  const order = Array.from({ length: lines }, (_, line) => line)
  // Sattolo's shuffle: a single cycle over all lines.
  for (let last = lines - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * last)
    ;[order[last], order[other]] = [order[other] as number, order[last] as number]
  }
  const block = new Uint32Array(bytes / Uint32Array.BYTES_PER_ELEMENT)
  for (const [line, next] of order.entries()) block[line * stride] = next * stride
  const follow = (reads: number): number => {
    let at = 0
    for (let read = 0; read < reads; read += 1) at = block[at] as number
    return at
  }
  follow(READS / 10)
  const startedAt = performance.now()
  follow(READS)
  return ((performance.now() - startedAt) * 1e6) / READS
}

async function measureEchoes(
  child: ChildProcess,
  socket: Socket,
  count: number,
  pauseMs: number,
): Promise<{ medianUs: number; cpuUs: number }> {
  const before = (await askCpuUs(child)) + ownCpuUs()
  const tookUs: number[] = []
  for (let n = 0; n < count; n += 1) {
    if (pauseMs > 0) await pause(pauseMs)
    const startedAt = performance.now()
    socket.write('x')
    await once(socket, 'data')
    tookUs.push((performance.now() - startedAt) * 1_000)
  }
  const after = (await askCpuUs(child)) + ownCpuUs()
  return { medianUs: medianOf(tookUs), cpuUs: (after - before) / count }
}

function ownCpuUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

async function askCpuUs(child: ChildProcess): Promise<number> {
  const answer = once(child, 'message')
  child.send('cpu')
  return ((await answer) as [number])[0]
}

/** The other process: sends back what comes, and says what it has used. */
function echo(): void {
  const server = createServer((socket) => {
    socket.setNoDelay(true).on('data', (data) => socket.write(data))
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  process.on('message', () => process.send?.(ownCpuUs()))
}
