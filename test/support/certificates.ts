import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

// X.509 v3 in DER, as far as the tests need it: neither openssl nor a package has to be there.

export type Certificate = { readonly cert: string; readonly key: string }

export type Authority = {
  /** PEM, for those who shall trust what it issues. */
  readonly ca: string
  /** A certificate for a server of these names or IPv4 addresses; `commonName` is who it is. */
  issue(commonName: string, hosts?: readonly string[]): Certificate
}

const DAY_MS = 86_400_000

/** An authority that nobody knows but who is given its certificate. */
export function createAuthority(name: string): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const constraints = [
    extension('551d13', sequence(boolean(true)), true),
    // keyCertSign and cRLSign.
    extension('551d0f', Buffer.from('03020106', 'hex'), true),
  ]
  const ca = makeCertificate({
    issuer: name,
    subject: name,
    publicKey: own.publicKey,
    signer: own.privateKey,
    extensions: constraints,
  })
  return {
    ca,
    issue(commonName, hosts = []) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const names = hosts.map((host) =>
        isIPv4(host)
          ? node(0x87, Buffer.from(host.split('.').map(Number)))
          : node(0x82, Buffer.from(host)),
      )
      const cert = makeCertificate({
        issuer: name,
        subject: commonName,
        publicKey: pair.publicKey,
        signer: own.privateKey,
        extensions: names.length === 0 ? [] : [extension('551d11', sequence(...names))],
      })
      return { cert, key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
    },
  }
}

type Request = {
  readonly issuer: string
  readonly subject: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
}

function makeCertificate({ issuer, subject, publicKey, signer, extensions }: Request): string {
  const algorithm = sequence(oid('2a8648ce3d040302'))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = sequence(
    node(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    algorithm,
    commonNameOf(issuer),
    sequence(time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    commonNameOf(subject),
    spki,
    ...(extensions.length === 0 ? [] : [node(0xa3, sequence(...extensions))]),
  )
  const signature = sign('sha256', body, signer)
  const whole = sequence(body, algorithm, node(0x03, Buffer.from([0]), signature))
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

function node(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: readonly Buffer[]): Buffer => node(0x30, ...parts)
const integer = (bytes: Buffer): Buffer => node(0x02, bytes)
const boolean = (value: boolean): Buffer => node(0x01, Buffer.from([value ? 0xff : 0]))
const oid = (hex: string): Buffer => node(0x06, Buffer.from(hex, 'hex'))

const time = (ms: number): Buffer =>
  node(0x17, Buffer.from(`${new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)}Z`))

const commonNameOf = (name: string): Buffer =>
  sequence(node(0x31, sequence(oid('550403'), node(0x0c, Buffer.from(name)))))

const extension = (id: string, value: Buffer, isCritical = false): Buffer =>
  sequence(oid(id), ...(isCritical ? [boolean(true)] : []), node(0x04, value))
