/**
 * Shares one look-up among callers with the same key, without ever answering what was read before
 * the caller asked: who comes while one is under way gets the next one.
 */
export function createNextFlight<T>(
  look: (key: string) => Promise<T>,
): (key: string) => Promise<T> {
  const flights = new Map<string, { current: Promise<T>; next: Promise<T> | undefined }>()

  function start(key: string): Promise<T> {
    const flight: { current: Promise<T>; next: Promise<T> | undefined } = {
      current: look(key),
      next: undefined,
    }
    flights.set(key, flight)
    const land = () => {
      if (flights.get(key) === flight && flight.next === undefined) flights.delete(key)
    }
    flight.current.then(land, land)
    return flight.current
  }

  return (key) => {
    const flight = flights.get(key)
    if (flight === undefined) return start(key)
    flight.next ??= flight.current.then(
      () => start(key),
      () => start(key),
    )
    return flight.next
  }
}
