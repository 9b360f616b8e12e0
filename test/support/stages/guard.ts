import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { stageName } from './stage-name.ts'

/** Lets pass what is a number above nothing. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    kind: 'guard',
    run(input, ctx) {
      return typeof input === 'number' && input > 0 ? input : ctx.skip('not above nothing')
    },
  }),
)
