import type { Airport } from './airports.ts'

/** Mean radius of the earth (IUGG). */
const EARTH_RADIUS_KM = 6_371.0088

const toRadians = (degrees: number): number => (degrees * Math.PI) / 180

/** Kilometres between two places on the sphere, by the haversine formula. */
export function greatCircleKm(from: Airport, to: Airport): number {
  const north = Math.sin(toRadians(to.latitude - from.latitude) / 2)
  const east = Math.sin(toRadians(to.longitude - from.longitude) / 2)
  const cosines = Math.cos(toRadians(from.latitude)) * Math.cos(toRadians(to.latitude))
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.hypot(north, Math.sqrt(cosines) * east)))
}
