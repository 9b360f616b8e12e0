import { defineStage, Permanent } from '@weir/sdk'
import { Type } from 'typebox'

const values = Type.Array(Type.Number(), { minItems: 1, maxItems: 10_000 })

/** Stretches numbers linearly to the range from 0 to 1. */
export const normalise = defineStage({
  name: 'normalise',
  version: '1.0.0',
  input: Type.Object({ values }),
  output: Type.Object({ values }),
  deterministic: true,
  run({ values }) {
    let min = Number.POSITIVE_INFINITY
    let max = Number.NEGATIVE_INFINITY
    for (const value of values) {
      min = Math.min(min, value)
      max = Math.max(max, value)
    }
    if (min === max) {
      throw new Permanent('constant_input', 'All values are equal, there is no range to normalise')
    }
    return { values: values.map((value) => (value - min) / (max - min)) }
  },
})
