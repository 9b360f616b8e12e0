import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'

/** The arithmetic mean, summed in the order of the values. */
export const mean = defineStage({
  name: 'mean',
  version: '1.0.0',
  input: Type.Object({ values: Type.Array(Type.Number(), { minItems: 1, maxItems: 10_000 }) }),
  output: Type.Number(),
  deterministic: true,
  run: ({ values }) => values.reduce((sum, value) => sum + value, 0) / values.length,
})
