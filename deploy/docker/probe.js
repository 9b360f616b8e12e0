// The health check of the images: `node probe.js /readyz` ends with 0 when this container's service
// answers 2xx. Plain JavaScript without fetch, since it is started every few seconds: 40 ms, not 90.
import { get } from 'node:http'

const path = process.argv[2] ?? '/healthz'
const fail = () => {
  process.exitCode = 1
}
get({ host: '127.0.0.1', port: process.env.WEIR_HTTP_PORT, path, timeout: 5_000 }, (response) => {
  response.resume()
  if (Math.floor(response.statusCode / 100) !== 2) fail()
})
  .on('timeout', function () {
    this.destroy()
    fail()
  })
  .on('error', fail)
