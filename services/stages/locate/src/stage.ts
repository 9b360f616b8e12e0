import { defineStage, Permanent } from '@weir/sdk'
import { Type } from 'typebox'
import { readAirports } from './airports.ts'
import { greatCircleKm } from './great-circle.ts'

const MILE_KM = 1.609344
/** The earth is no sphere and airlines round: the data differ by up to 1.5 %. */
const TOLERANCE = 0.02

const airports = readAirports()

const flight = {
  date: Type.String(),
  delay: Type.Integer(),
  distance: Type.Integer(),
  origin: Type.String(),
  destination: Type.String(),
}

/** Joins a flight with its airports and checks the distance that it states. */
export const locate = defineStage({
  name: 'locate',
  version: '1.0.0',
  kind: 'enrich',
  input: Type.Object(flight),
  output: Type.Object({
    ...flight,
    /** Whole kilometres along the great circle. */
    km: Type.Integer({ minimum: 0 }),
  }),
  deterministic: true,
  run(input) {
    const km = greatCircleKm(airport(input.origin), airport(input.destination))
    const statedKm = input.distance * MILE_KM
    if (Math.abs(km - statedKm) > TOLERANCE * statedKm) {
      throw new Permanent(
        'distance_mismatch',
        `${input.origin}–${input.destination} is ${Math.round(km)} km, not ${Math.round(statedKm)}`,
      )
    }
    return { ...input, km: Math.round(km) }
  },
})

function airport(code: string) {
  const found = airports.get(code)
  if (found === undefined) throw new Permanent('unknown_airport', `There is no airport ${code}`)
  return found
}
