import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const HOME = join(root, '.weir/demo')

export type Running = { readonly api: string; readonly operatorKey: string }

/** Starts Weir in a home of the demo's own, on a free port, and waits until it is ready. */
export async function startWeir(receiverUrl: string, stopped: AbortSignal): Promise<Running> {
  // What a demo that was killed has left behind would not know this receiver, and its jobs would
  // be published again.
  await stopWeir()
  rmSync(HOME, { recursive: true, force: true })
  const port = await findFreePort()
  stopped.throwIfAborted()
  await run('up.ts', { WEIR_PORT: String(port), WEIR_DEMO_RECEIVER: receiverUrl })
  return JSON.parse(readFileSync(join(HOME, 'run.json'), 'utf8')) as Running
}

export async function stopWeir(): Promise<void> {
  await run('down.ts', {})
}

async function run(program: string, env: Record<string, string>): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'deploy/local', program)], {
    env: { ...process.env, ...env, WEIR_HOME: HOME },
    // What it prints is for people: addresses and a key that end with the demo are not.
    stdio: ['ignore', 'ignore', 'inherit'],
    // Ctrl-C is for the demo, which stops what it has started in order.
    detached: true,
  })
  const stopStarting = () => child.kill('SIGTERM')
  if (program === 'up.ts') process.on('SIGINT', stopStarting).on('SIGTERM', stopStarting)
  const [code, signal] = await once(child, 'exit')
  process.off('SIGINT', stopStarting).off('SIGTERM', stopStarting)
  if (code !== 0) throw new Error(`deploy/local/${program} ended with ${code ?? signal}`)
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}
