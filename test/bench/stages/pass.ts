import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'
import { changeItem } from '../item.ts'

export const itemSchema = Type.Object({
  n: Type.Integer({ minimum: 0 }),
  round: Type.Integer({ minimum: 0 }),
  at: Type.Number(),
  hop: Type.Integer({ minimum: 0 }),
  total: Type.Integer({ minimum: 0 }),
  value: Type.Integer({ minimum: 1 }),
  customer: Type.String({ maxLength: 40 }),
  currency: Type.String({ pattern: '^[A-Z]{3}$' }),
  tags: Type.Array(Type.String(), { maxItems: 10 }),
  note: Type.String({ maxLength: 1_000 }),
})

/** The stage of the baseline, as an author writes it for Weir. */
export function definePass(name: string) {
  return defineStage({
    name,
    version: '1.0.0',
    input: itemSchema,
    output: itemSchema,
    deterministic: true,
    concurrency: 64,
    run: changeItem,
  })
}
