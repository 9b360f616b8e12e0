import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { stageName } from './stage-name.ts'

/** A later version of `strict` that asks for more and gives something else. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.2.0',
    input: Type.Object({ n: Type.Integer(), unit: Type.String() }),
    output: Type.Object({ n: Type.String() }),
    run: ({ n }) => ({ n: String(n) }),
  }),
)
