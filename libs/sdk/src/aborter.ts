/**
 * Ends an attempt early. Its AbortSignal is made only when somebody asks for it: most handlers never
 * do, and a controller with its listeners costs as much as the rest of an attempt.
 */
export class Aborter {
  #controller: AbortController | undefined
  #listeners: (() => void)[] | undefined
  #isAborted = false
  #reason: unknown

  get isAborted(): boolean {
    return this.#isAborted
  }

  get reason(): unknown {
    return this.#reason
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#isAborted) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** The first reason counts; aborting again changes nothing. */
  abort(reason: unknown): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#reason = reason
    this.#controller?.abort(reason)
    const listeners = this.#listeners
    this.#listeners = undefined
    for (const listener of listeners ?? []) listener()
  }

  /** Calls `listener` when it is aborted; not where it has been already. */
  onAbort(listener: () => void): void {
    this.#listeners ??= []
    this.#listeners.push(listener)
  }

  /** Nobody waits for it any more. */
  forget(): void {
    this.#listeners = undefined
  }
}
