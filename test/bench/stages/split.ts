import { runStage } from '@weir/engine'
import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { makeItem } from '../item.ts'
import { itemSchema } from './pass.ts'

await runStage(
  defineStage({
    name: 'bench-split',
    version: '1.0.0',
    input: Type.Object({ count: Type.Integer({ minimum: 0, maximum: 1_000 }) }),
    output: Type.Array(itemSchema),
    deterministic: true,
    run: ({ count }) => Array.from({ length: count }, (_, n) => makeItem(n, 0)),
  }),
)
