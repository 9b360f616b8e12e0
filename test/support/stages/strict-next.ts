import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { stageName } from './stage-name.ts'

/** A later version of `strict` that takes all that the first takes. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.1.0',
    input: Type.Object({ n: Type.Integer(), unit: Type.Optional(Type.String()) }),
    output: Type.Object({ n: Type.Integer(), by: Type.Optional(Type.String()) }),
    run: ({ n }) => ({ n: n + 1, by: '1.1.0' }),
  }),
)
