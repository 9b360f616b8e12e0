import { defineStage, Permanent, Transient } from '@weir/sdk'
import { Type } from 'typebox'

/**
 * Posts a summary to the receiver that `WEIR_DEMO_RECEIVER` names, under the task's idempotency key:
 * however often the task runs, the receiver counts it once. Gives the summary on.
 */
export const publish = defineStage({
  name: 'publish',
  version: '1.0.0',
  kind: 'work',
  input: Type.Object({ date: Type.String() }),
  output: Type.Object({ date: Type.String() }),
  timeoutMs: 10_000,
  async run(summary, ctx) {
    const receiver = process.env.WEIR_DEMO_RECEIVER
    if (!receiver) return ctx.skip('no receiver is configured')
    const response = await fetch(receiver, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': ctx.idempotencyKey },
      body: JSON.stringify(summary),
      signal: ctx.signal,
    })
    // Read to its end, else the connection is not used again.
    await response.arrayBuffer()
    if (response.ok) return summary
    const answer = `The receiver answered ${response.status}`
    if (response.status === 429 || response.status >= 500) {
      throw new Transient('receiver_failed', answer)
    }
    throw new Permanent('receiver_refused', answer)
  },
})
