import { readFileSync } from 'node:fs'

export type Airport = { readonly latitude: number; readonly longitude: number }

/** The airports of the package `vega-datasets`, by their code. */
export function readAirports(): ReadonlyMap<string, Airport> {
  // The package lets nobody import its data by name; its main file stands one folder beside it.
  const file = new URL('../data/airports.csv', import.meta.resolve('vega-datasets'))
  return parseAirports(readFileSync(file, 'utf8'))
}

/** Airports from CSV with a header line that names `iata`, `latitude` and `longitude`. */
export function parseAirports(text: string): ReadonlyMap<string, Airport> {
  const [header, ...lines] = text.split(/\r?\n/).filter((line) => line !== '')
  const columns = parseLine(header ?? '')
  const column = (name: string) => {
    const index = columns.indexOf(name)
    if (index === -1) throw new Error(`the table of airports has no column ${name}`)
    return index
  }
  const [code, latitude, longitude] = ['iata', 'latitude', 'longitude'].map(column) as [
    number,
    number,
    number,
  ]
  return new Map(
    lines.map((line) => {
      const fields = parseLine(line)
      const airport = { latitude: Number(fields[latitude]), longitude: Number(fields[longitude]) }
      if (!Number.isFinite(airport.latitude) || !Number.isFinite(airport.longitude)) {
        throw new Error(`airport ${fields[code]} has no position`)
      }
      return [fields[code] ?? '', airport]
    }),
  )
}

const FIELD = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g

/** Fields of a line of CSV; quoted ones may hold commas and doubled quotes, but no line ends. */
function parseLine(line: string): string[] {
  return [...line.matchAll(FIELD)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'),
  )
}
