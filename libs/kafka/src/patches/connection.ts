import type { Socket } from 'node:net'
import { TLS_ALERT } from '../explain.ts'
import { Connection } from '../internals.ts'

const PATCHED = Symbol.for('weir.kafka.connection')
const CONNECTING = Symbol('connecting')

type Connecting = {
  ssl?: unknown
  bytesBuffered: number
  rejectRequests(error: Error): void
  disconnect(): Promise<unknown>
}

/** Record type `alert` and a version of TLS; as the size of an answer it would be over 300 MB. */
const isTlsAlert = (data: Buffer): boolean => data[0] === 0x15 && data[1] === 0x03

/**
 * Connects once however many ask. As shipped, requests that find a connection closed each open a
 * socket; the last one wins, the others are never closed, and requests go into a socket that is not
 * open yet. That happens whenever a broker comes back while several requests wait.
 *
 * And knows a listener that speaks TLS by its alert: as shipped, that is just a closed connection.
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

  const processData = connection.processData as (this: object, data: Buffer) => void
  connection.processData = function (this: Connecting, data: Buffer) {
    if (this.ssl || this.bytesBuffered > 0 || !isTlsAlert(data)) return processData.call(this, data)
    this.rejectRequests(
      Object.assign(new Error('the listener speaks TLS'), { code: TLS_ALERT, retriable: false }),
    )
    void this.disconnect()
  }

  const connect = connection.connect as (this: object) => Promise<unknown>
  connection.connect = function (this: { [CONNECTING]?: Promise<unknown> | undefined }) {
    this[CONNECTING] ??= connect.call(this).finally(() => {
      this[CONNECTING] = undefined
    })
    return this[CONNECTING]
  }
}
