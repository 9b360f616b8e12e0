import { request } from 'node:http'

const ANSWER_MS = 2_000

/**
 * Why tests cannot use containers here, as a sentence, or undefined when they can: an engine answers
 * and has the images. `REQUIRE_DOCKER=1` (or the variable that is named) makes any reason a failure;
 * `ALLOW_PULL=1` lets the engine fetch what is missing.
 */
export async function findMissingContainers(
  images: readonly string[],
  required = 'REQUIRE_DOCKER',
): Promise<string | undefined> {
  const missing = await findMissing(images)
  if (missing !== undefined && process.env[required] === '1')
    throw new Error(`${required}=1, but ${missing}`)
  return missing
}

async function findMissing(images: readonly string[]): Promise<string | undefined> {
  const status = await ask('/_ping').catch((error: Error) => error.message)
  if (status !== 200) return `no container engine answers at ${engineAddress()} (${status})`
  if (process.env.ALLOW_PULL === '1') return undefined
  for (const image of images)
    if (!(await hasImage(image))) return `the container engine has no image ${image}`
  return undefined
}

/** Whether the engine could start this image without fetching it. */
export async function hasImage(image: string): Promise<boolean> {
  return (await ask(`/images/${image}/json`).catch(() => undefined)) === 200
}

function engineAddress(): string {
  return process.env.DOCKER_HOST || 'unix:///var/run/docker.sock'
}

function ask(path: string): Promise<number> {
  const { protocol, pathname, hostname, port } = new URL(engineAddress())
  if (protocol !== 'unix:' && protocol !== 'tcp:')
    return Promise.reject(new Error(`${protocol}// is not supported here`))
  const where = protocol === 'unix:' ? { socketPath: pathname } : { host: hostname, port }
  return new Promise((resolve, reject) => {
    const asked = request({ ...where, path, timeout: ANSWER_MS }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS} ms`)))
    asked.once('error', reject)
    asked.end()
  })
}
