import { runStage } from '@weir/engine'
import { defineStage, Permanent } from '@weir/sdk'
import { stageName } from './stage-name.ts'

let batches = 0

/** Answers each input of a batch with the batch's number and size; `bad` fails alone. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    batch: { max: 10, waitMs: 1_000 },
    runBatch(inputs, contexts) {
      batches += 1
      for (const { log, job, step, attempt } of contexts)
        log.info(`chat: ${job} ${step} ${attempt}`)
      return inputs.map((input) =>
        input === 'bad'
          ? new Permanent('bad_input', 'this one is bad')
          : { input, batch: batches, size: inputs.length, at: Date.now() },
      )
    },
  }),
)
