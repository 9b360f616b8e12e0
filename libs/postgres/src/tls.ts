import { isIP } from 'node:net'
import { type ConnectionOptions, checkServerIdentity } from 'node:tls'

/** For TLS: the server's certificate and its name are checked, always. */
export type Tls = {
  readonly rejectUnauthorized: true
  /** PEM; default the system's authorities. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** The name in the server's certificate; default the host of the address. */
  readonly servername?: string
}

/**
 * What the driver takes. It would check the certificate of a server that is addressed by its number
 * against the name `localhost`, so whose certificate it must be is said here.
 */
export function toSsl(url: string, tls: Tls | undefined): ConnectionOptions | false {
  // Not `undefined`: the driver would then look into variables of its own.
  if (tls === undefined) return false
  const { servername, ...rest } = tls
  const name = servername ?? new URL(url).hostname.replace(/^\[|\]$/g, '')
  return {
    ...rest,
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  }
}
