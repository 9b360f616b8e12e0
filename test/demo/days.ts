import { readFileSync } from 'node:fs'

export type Day = { readonly date: string; readonly flights: readonly { readonly date: string }[] }

/** The inputs of the demo's jobs: the flights of `vega-datasets`, a day in each, in order. */
export function readDays(): readonly Day[] {
  const file = new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets'))
  const flights = JSON.parse(readFileSync(file, 'utf8')) as Day['flights']
  const days = Map.groupBy(flights, ({ date }) => date.slice(0, 10).replaceAll('/', '-'))
  return [...days]
    .map(([date, of]) => ({ date, flights: of }))
    .sort((a, b) => (a.date < b.date ? -1 : 1))
}
