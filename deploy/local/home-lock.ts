import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const askTimeoutMs = 2_000

export type HomeLock = { release(): Promise<void> }

/**
 * Makes this process the only one that runs an installation's home; undefined when another does.
 * The lock is a listening socket, so it ends with its process, however that ends.
 */
export async function acquireHomeLock(home: string): Promise<HomeLock | undefined> {
  const path = lockPath(home)
  const isAbstract = path.startsWith('\0')
  if (!isAbstract && (await askHolder(home)) === undefined) rmSync(path, { force: true })

  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.end(String(process.pid))
  })
  const isListening = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(path, () => resolve(true))
  })
  if (!isListening) return undefined
  server.unref()
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

/** The pid of the process that runs this home, undefined when none does. */
export function askHolder(home: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect({ path: lockPath(home), timeout: askTimeoutMs })
    socket.on('data', (chunk) => {
      answer += chunk.toString()
    })
    socket.once('timeout', () => socket.destroy())
    // The close event follows an error too.
    socket.on('error', () => {})
    socket.once('close', () => resolve(Number(answer) || undefined))
  })
}

function lockPath(home: string): string {
  const digest = createHash('sha256').update(home).digest('hex').slice(0, 24)
  // An abstract socket leaves no file behind; only Linux has them.
  return process.platform === 'linux'
    ? `\0weir-home-${digest}`
    : join(tmpdir(), `weir-home-${digest}.sock`)
}
