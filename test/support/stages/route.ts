import { runStage } from '@weir/engine'
import { defineStage, Permanent } from '@weir/sdk'
import { Type } from 'typebox'
import { stageName } from './stage-name.ts'

/** Takes the branches that its input names. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    kind: 'route',
    input: Type.Object({
      to: Type.Array(Type.String()),
      value: Type.Optional(Type.Unknown()),
      fail: Type.Optional(Type.Boolean()),
    }),
    run({ to, value, fail }, ctx) {
      if (fail === true) throw new Permanent('lost', 'it does not know the way')
      return ctx.route(to, value ?? null)
    },
  }),
)
