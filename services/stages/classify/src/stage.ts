import { defineStage } from '@weir/sdk'
import { Type } from 'typebox'

/** As the authorities count: late is later than a quarter of an hour. */
const LATE_MIN = 15

const flight = {
  date: Type.String(),
  delay: Type.Integer(),
  origin: Type.String(),
  destination: Type.String(),
  km: Type.Integer(),
}

/** Sends every flight on branch `all`, late ones on branch `late` as well. */
export const classify = defineStage({
  name: 'classify',
  version: '1.0.0',
  kind: 'route',
  input: Type.Object(flight),
  output: Type.Object({ ...flight, isLate: Type.Boolean() }),
  deterministic: true,
  run({ date, delay, origin, destination, km }, ctx) {
    const isLate = delay > LATE_MIN
    return ctx.route(isLate ? ['all', 'late'] : ['all'], {
      date,
      delay,
      origin,
      destination,
      km,
      isLate,
    })
  },
})
