import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { isRight } from '../item.ts'
import { itemSchema } from './pass.ts'

await runStage(
  defineStage({
    name: 'bench-total',
    version: '1.0.0',
    input: Type.Array(itemSchema),
    output: Type.Object({ items: Type.Integer(), right: Type.Integer() }),
    deterministic: true,
    run: (items) => ({
      items: items.length,
      right: items.filter((item, n) => isRight(item, n, 2)).length,
    }),
  }),
)
