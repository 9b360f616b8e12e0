import type { Socket } from 'node:net'
import { errorTable, newUuid, WeirError } from '@weir/contracts'
import { KafkaError } from '@weir/kafka'
import { toWeirError } from '@weir/postgres'
import { type Logger, toProblem } from '@weir/runtime'
import { fromFastifyError, socketErrorCode } from './fastify-error.ts'
import { NOTHING_HERE } from './not-found.ts'
import type { App, Reply, Request } from './type-provider.ts'

export type ErrorPorts = {
  readonly log: Logger
  /** Before the problem is sent: what is noted of it. */
  readonly onProblem: (
    request: Request,
    problem: { readonly status: number; readonly body: Readonly<Record<string, unknown>> },
  ) => void
}

/** The one place where errors become answers: RFC 9457, and silent about causes that are ours. */
export function addErrorEdge(app: App, ports: ErrorPorts): void {
  const methodsOf = collectRoutes(app)
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, ports))
  app.setNotFoundHandler({ preValidation: [] }, (request, reply) => {
    const allowed = methodsOf(request.url)
    const error = new WeirError(
      allowed.length === 0 ? 'not_found' : 'method_not_allowed',
      allowed.length === 0 ? NOTHING_HERE : `The resource knows ${allowed.join(', ')}.`,
    )
    if (allowed.length > 0) reply.header('allow', allowed.join(', '))
    return sendProblem(error, request, reply, ports)
  })
}

function sendProblem(
  error: unknown,
  request: Request,
  reply: Reply,
  { log, onProblem }: ErrorPorts,
) {
  const known = toKnown(error)
  const problem = toProblem(known, request.scope.requestId)
  onProblem(request, problem)
  request.scope.problem = String(problem.body.code)
  if (problem.status === 429) {
    const { cause, stage } = problem.body
    request.scope.refusal = {
      cause: cause === 'platform' ? 'platform' : 'tenant',
      stage: typeof stage === 'string' ? stage : '',
    }
  }
  if (problem.status >= 500) log.error({ err: error, code: problem.body.code }, 'a request failed')
  if (problem.body.code === 'unauthenticated') reply.header('www-authenticate', 'Bearer')
  // The status of a problem is not the route's: its schemas have no say in how it is written.
  return reply
    .status(problem.status)
    .headers(problem.headers)
    .serializer(JSON.stringify)
    .send(problem.body)
}

function toKnown(error: unknown): unknown {
  const known = fromFastifyError(error)
  if (WeirError.is(known)) return known
  if (error instanceof KafkaError) {
    return new WeirError('unavailable', 'Kafka does not answer', { retryAfterS: 1, cause: error })
  }
  return toWeirError(error)
}

/** Answers what the framework refuses before any hook has run: an address that cannot be read. */
export function answerFrameworkError(error: Error, _request: unknown, reply: Reply): void {
  const requestId = newUuid()
  const { status, headers, body } = toProblem(fromFastifyError(error), requestId)
  reply
    .status(status)
    .headers({ ...headers, 'x-request-id': requestId })
    .send(Buffer.from(JSON.stringify(body)))
}

/** Answers by hand what never became a request: too large a header, no HTTP, too slow. */
export function answerSocketError(error: Error & { code?: string }, socket: Socket) {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code = socketErrorCode(error)
  const { status, title } = errorTable[code]
  const { body, headers } = toProblem(new WeirError(code, title), 'unread')
  const text = JSON.stringify(body)
  const fields = Object.entries({ ...headers, 'content-length': Buffer.byteLength(text) })
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(`HTTP/1.1 ${status} ${title}\r\n${head}connection: close\r\n\r\n${text}`)
}

/** Which methods an address knows: that it knows others is a 405, that it knows none a 404. */
function collectRoutes(app: App): (url: string) => string[] {
  const routes: { readonly method: string; readonly pattern: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const pattern = new RegExp(`^${url.replace(/[.$]/g, '\\$&').replace(/:[A-Za-z]+/g, '[^/]+')}$`)
    for (const one of [method].flat()) routes.push({ method: one, pattern })
  })
  return (url) => {
    const path = url.split('?', 1)[0] as string
    return routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
  }
}
