type Flight = { readonly origin: string; readonly destination: string; readonly delay: number }
type Route = { readonly route: string; readonly flights: number; readonly delay: number }

/** The route with the most minutes of delay in sum; of equal ones the first by name. */
export function worstRoute(flights: readonly Flight[]): Route {
  const routes = new Map<string, { route: string; flights: number; delay: number }>()
  for (const { origin, destination, delay } of flights) {
    const route = `${origin}-${destination}`
    const sum = routes.get(route) ?? { route, flights: 0, delay: 0 }
    sum.flights += 1
    sum.delay += delay
    routes.set(route, sum)
  }
  return [...routes.values()].reduce((worst, one) =>
    one.delay > worst.delay || (one.delay === worst.delay && one.route < worst.route) ? one : worst,
  )
}
