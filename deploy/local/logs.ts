import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'

const logBytesMax = 64 * 1024 * 1024

/**
 * Bounds every log in a folder: a log over 64 MiB is copied to `<name>.1` and emptied. The writers
 * append, so they go on at the new end; lines written in between are lost.
 */
export function trimLogs(logsDir: string, bytesMax = logBytesMax): void {
  // Whoever removes a running installation's folder must not bring its supervisor down.
  mkdirSync(logsDir, { recursive: true })
  for (const name of readdirSync(logsDir)) {
    const path = join(logsDir, name)
    if (!name.endsWith('.log') || statSync(path).size <= bytesMax) continue
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  }
}

/** Writes lines to `<home>/logs/supervisor.log`, and to standard error too when `echo` is set. */
export function createSupervisorLog(home: string, echo: boolean): (line: string) => void {
  const logsDir = join(home, 'logs')
  return (line) => {
    mkdirSync(logsDir, { recursive: true })
    appendFileSync(join(logsDir, 'supervisor.log'), `${new Date().toISOString()} ${line}\n`)
    if (echo) process.stderr.write(`weir: ${line}\n`)
  }
}
