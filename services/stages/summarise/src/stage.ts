import { defineStage, Permanent } from '@weir/sdk'
import { Type } from 'typebox'
import { worstRoute } from './worst-route.ts'

const flight = Type.Object({
  date: Type.String(),
  delay: Type.Integer(),
  origin: Type.String(),
  destination: Type.String(),
  km: Type.Integer(),
  isLate: Type.Boolean(),
})

/**
 * The day's row of the table. Sums are of whole numbers, so they do not depend on the order in which
 * the flights were worked on.
 */
export const summarise = defineStage({
  name: 'summarise',
  version: '1.0.0',
  input: Type.Array(flight),
  output: Type.Object({
    date: Type.String(),
    flights: Type.Integer(),
    late: Type.Integer(),
    /** Minutes, to the hundredth. */
    meanDelay: Type.Number(),
    km: Type.Integer(),
    worstRoute: Type.Object({
      route: Type.String(),
      flights: Type.Integer(),
      delay: Type.Integer(),
    }),
  }),
  deterministic: true,
  run(flights) {
    const [first] = flights
    if (first === undefined) throw new Permanent('no_flights', 'The day has no flights')
    let late = 0
    let delay = 0
    let km = 0
    for (const one of flights) {
      if (one.isLate) late += 1
      delay += one.delay
      km += one.km
    }
    return {
      date: first.date.slice(0, 10).replaceAll('/', '-'),
      flights: flights.length,
      late,
      meanDelay: Math.round((delay * 100) / flights.length) / 100,
      km,
      worstRoute: worstRoute(flights),
    }
  },
})
