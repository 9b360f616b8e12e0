import type { Socket } from 'node:net'
import { Connection } from '../internals.ts'

const PATCHED = Symbol.for('weir.kafka.connection')
const CONNECTING = Symbol('connecting')

/**
 * Connects once however many ask. As shipped, requests that find a connection closed each open a
 * socket; the last one wins, the others are never closed, and requests go into a socket that is not
 * open yet. That happens whenever a broker comes back while several requests wait.
 */
export function patchConnection(): void {
  const connection = Connection.prototype as Record<string | symbol, unknown>
  if (connection[PATCHED] === true) return
  connection[PATCHED] = true

  const disconnect = connection.disconnect as (this: object) => Promise<unknown>
  connection.disconnect = function (this: { socket?: Socket | undefined }) {
    // During an outage the same dead socket is closed again and again, each time with a listener
    // for a connection that will never be.
    if (this.socket?.destroyed === true) this.socket = undefined
    return disconnect.call(this)
  }

  const connect = connection.connect as (this: object) => Promise<unknown>
  connection.connect = function (this: { [CONNECTING]?: Promise<unknown> | undefined }) {
    this[CONNECTING] ??= connect.call(this).finally(() => {
      this[CONNECTING] = undefined
    })
    return this[CONNECTING]
  }
}
