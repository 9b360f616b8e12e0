/**
 * The table of delays by itself: one process, no Weir, none of the stages' code. Prints a line of
 * JSON per day, members sorted by name, days in order. `node reference.ts [other flights.json]`.
 */
import { readFileSync } from 'node:fs'

type Flight = Record<'date' | 'origin' | 'destination', string> & { delay: number }
type Point = readonly [x: number, y: number, z: number]

const data = new URL('../data/', import.meta.resolve('vega-datasets'))
const read = (name: string): string => readFileSync(new URL(name, data), 'utf8')

// A point on the unit sphere per airport; code and position stand outside of the quoted columns.
const points = new Map<string, Point>()
for (const line of read('airports.csv').trim().split('\n').slice(1)) {
  const fields = line.trim().split(',')
  const [latitude = 0, longitude = 0] = fields
    .slice(-2)
    .map((text) => (Number(text) / 180) * Math.PI)
  const level = Math.cos(latitude)
  const point: Point = [
    level * Math.cos(longitude),
    level * Math.sin(longitude),
    Math.sin(latitude),
  ]
  points.set(fields[0] as string, point)
}

function kilometres(from: string, to: string): number {
  const [[a, b, c], [x, y, z]] = [points.get(from) as Point, points.get(to) as Point]
  const cross = Math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
  return Math.round(6371.0088 * Math.atan2(cross, a * x + b * y + c * z))
}

const [, , other] = process.argv
const table = other === undefined ? read('flights-20k.json') : readFileSync(other, 'utf8')
const days = Map.groupBy(JSON.parse(table) as Flight[], ({ date }) =>
  date.slice(0, 10).split('/').join('-'),
)
for (const date of [...days.keys()].sort()) {
  const flights = days.get(date) ?? []
  const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0)
  const delays = flights.map(({ delay }) => delay)
  const routes = Map.groupBy(flights, ({ origin, destination }) => `${origin}-${destination}`)
  const worst = [...routes]
    .map(([route, of]) => ({ delay: sum(of.map(({ delay }) => delay)), flights: of.length, route }))
    .sort((a, b) => b.delay - a.delay || (a.route < b.route ? -1 : 1))[0]
  console.log(
    JSON.stringify({
      date,
      flights: flights.length,
      km: sum(flights.map(({ origin, destination }) => kilometres(origin, destination))),
      late: delays.filter((delay) => delay > 15).length,
      meanDelay: Math.round((100 * sum(delays)) / flights.length) / 100,
      worstRoute: worst,
    }),
  )
}
