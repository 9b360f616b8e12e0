import { limits } from '@weir/contracts'
import type { ArtifactContent } from './context.ts'
import { findJsonFault } from './json-fault.ts'
import { Permanent } from './task-errors.ts'

/** Where what a handler tells goes; the engine's, or a test's. */
export type TaskTeller = {
  /** `json`: undefined where nothing was given, null where it is too large to be told. */
  event(name: string, json: string | undefined | null): boolean | Promise<boolean>
  /** Resolves when it cannot be lost any more. */
  artifact(artifact: { name: string; mediaType: string; content: Buffer }): Promise<void>
  /** The handler has ended: resolves when what it told can be passed on. */
  settled?(): Promise<void>
}

const EVENT_NAME = /^[a-z][a-z0-9_.-]*$/
const MEDIA_TYPE =
  /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*(; ?charset=[a-z0-9-]+)?$/i
/** Of one attempt, on its way: who makes more at once has to wait for it. */
const UNDER_WAY_MAX_BYTES = 4 * limits.artifactBytes

/**
 * What one attempt tells of its work. Its handler has ended when all of it is told, whether it has
 * waited for that or not; an artifact that cannot be kept fails the attempt.
 */
export class Told {
  /** Why an artifact was not kept; undefined while all of them are. */
  failure: unknown
  readonly #teller: TaskTeller | undefined
  readonly #pending = new Set<Promise<unknown>>()
  #artifacts = 0
  #bytesUnderWay = 0

  constructor(teller: TaskTeller | undefined) {
    this.#teller = teller
  }

  /** @throws {TypeError} where the name is none: a fault of the code, whatever the input. */
  event(name: string, data: unknown): Promise<boolean> {
    if (name.length > limits.eventNameLength || !EVENT_NAME.test(name)) {
      throw new TypeError(`the name of an event is lower case, like "rows.read", not "${name}"`)
    }
    const taken = this.#teller?.event(name, toJson(data)) ?? true
    if (!(taken instanceof Promise)) return Promise.resolve(taken)
    return this.#follow(taken)
  }

  artifact(name: string, content: ArtifactContent, mediaType: string | undefined): Promise<void> {
    const kept = this.#keep(name, content, mediaType)
    // Nobody may be waiting for it: then its failure is the attempt's, and not the process's.
    kept.catch((error: unknown) => {
      this.failure ??= error
    })
    return this.#follow(kept)
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
    await this.#teller?.settled?.()
  }

  async #keep(name: string, content: ArtifactContent, given: string | undefined): Promise<void> {
    const { bytes, mediaType } = toContent(content, given)
    if (name === '' || name.length > limits.artifactNameLength || /[\p{Cc}/\\]/u.test(name)) {
      throw new Permanent('artifact_invalid', 'the name of an artifact is that of a file')
    }
    if (!MEDIA_TYPE.test(mediaType)) {
      throw new Permanent('artifact_invalid', `${name}: its media type is none`)
    }
    if (bytes.length > limits.artifactBytes) {
      const max = limits.artifactBytes
      throw new Permanent('artifact_too_large', `${name}: it is larger than ${max} bytes`)
    }
    this.#artifacts += 1
    const isTooMany = this.#artifacts > limits.artifactsPerAttempt
    if (isTooMany || this.#bytesUnderWay + bytes.length > UNDER_WAY_MAX_BYTES) {
      const what = isTooMany
        ? `an attempt keeps at most ${limits.artifactsPerAttempt} artifacts`
        : `wait for the artifacts before it: ${UNDER_WAY_MAX_BYTES} bytes are under way at most`
      throw new Permanent('too_many_artifacts', `${name}: ${what}`)
    }
    this.#bytesUnderWay += bytes.length
    try {
      await this.#teller?.artifact({ name, mediaType, content: bytes })
    } finally {
      this.#bytesUnderWay -= bytes.length
    }
  }

  #follow<Value>(promise: Promise<Value>): Promise<Value> {
    const forget = () => this.#pending.delete(promise)
    this.#pending.add(promise)
    promise.then(forget, forget)
    return promise
  }
}

function toJson(data: unknown): string | undefined | null {
  if (data === undefined) return undefined
  if (findJsonFault(data) !== null) return null
  const json = JSON.stringify(data)
  return Buffer.byteLength(json) > limits.eventBytes ? null : json
}

function toContent(content: ArtifactContent, given: string | undefined) {
  if (typeof content === 'string') {
    return { bytes: Buffer.from(content), mediaType: given ?? 'text/plain; charset=utf-8' }
  }
  if (content instanceof Uint8Array) {
    // A copy: what its author does to it afterwards is not to reach what is kept.
    return { bytes: Buffer.from(content), mediaType: given ?? 'application/octet-stream' }
  }
  const fault = findJsonFault(content)
  if (fault !== null) {
    throw new Permanent(
      'artifact_invalid',
      `an artifact is not JSON: ${fault.path} ${fault.message}`,
    )
  }
  return { bytes: Buffer.from(JSON.stringify(content)), mediaType: given ?? 'application/json' }
}
