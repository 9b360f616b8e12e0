import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'

/** What would be told about a late flight. */
export const alert = defineStage({
  name: 'alert',
  version: '1.0.0',
  kind: 'work',
  input: Type.Object({
    date: Type.String(),
    delay: Type.Integer(),
    origin: Type.String(),
    destination: Type.String(),
  }),
  output: Type.Object({ flight: Type.String(), delayMin: Type.Integer() }),
  run: ({ date, delay, origin, destination }) => ({
    flight: `${date} ${origin}-${destination}`,
    delayMin: delay,
  }),
})
