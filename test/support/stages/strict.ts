import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { stageName } from './stage-name.ts'

/** Has contracts on both sides, and breaks its own with numbers below zero. */
await runStage(
  defineStage({
    name: stageName,
    version: '1.0.0',
    input: Type.Object({ n: Type.Integer() }),
    output: Type.Object({ n: Type.Integer(), by: Type.Optional(Type.String()) }),
    run: ({ n }) => ({ n: n < 0 ? ('below zero' as unknown as number) : n + 1, by: '1.0.0' }),
  }),
)
