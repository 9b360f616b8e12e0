import { defineStage, Permanent } from '@weir/sdk'
import { type Static, Type } from 'typebox'

const flight = Type.Object({
  /** `2001/01/01 00:47`, local time of departure. */
  date: Type.String({ pattern: '^\\d{4}/\\d{2}/\\d{2} \\d{2}:\\d{2}$' }),
  /** Minutes, negative where early. */
  delay: Type.Integer(),
  /** Statute miles, as the airline states them. */
  distance: Type.Integer({ minimum: 0 }),
  origin: Type.String({ minLength: 3, maxLength: 4 }),
  destination: Type.String({ minLength: 3, maxLength: 4 }),
})
type Flight = Static<typeof flight>

/** One day's flights, in the order of departure: each becomes an item. */
export const split = defineStage({
  name: 'split',
  version: '1.0.0',
  input: Type.Object({
    date: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}$' }),
    flights: Type.Array(flight, { maxItems: 500 }),
  }),
  output: Type.Array(flight),
  deterministic: true,
  run({ date, flights }) {
    const day = date.replaceAll('-', '/')
    const stranger = flights.findIndex((one) => !one.date.startsWith(day))
    if (stranger !== -1) {
      throw new Permanent('wrong_day', `Flight ${stranger} does not depart on ${date}`)
    }
    return flights.toSorted((a, b) => compare(keyOf(a), keyOf(b)))
  },
})

/** The whole flight, so that the order does not depend on that of the input. */
const keyOf = ({ date, origin, destination, distance, delay }: Flight): string =>
  [date, origin, destination, distance, delay].join(' ')

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
