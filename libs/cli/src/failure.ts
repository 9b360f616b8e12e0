import { ClientError } from '@weir/client'
import { type ExitCode, exitCodes } from './exit-codes.ts'

export type FailureInit = {
  readonly exitCode: ExitCode
  readonly code: string
  /** What to do about it. */
  readonly hint?: string | undefined
  readonly cause?: unknown
}

/** A command that could not be done, with the exit status that says so. */
export class Failure extends Error {
  readonly exitCode: ExitCode
  readonly code: string
  readonly hint: string | undefined

  constructor(message: string, init: FailureInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.name = 'Failure'
    this.exitCode = init.exitCode
    this.code = init.code
    this.hint = init.hint
  }
}

/** The command line does not say what is needed. */
export function usage(message: string, hint?: string): Failure {
  return new Failure(message, { exitCode: exitCodes.usage, code: 'usage', hint })
}

/** Any error as a failure: what the API refused has the exit status of its kind. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error
  if (ClientError.is(error)) return fromClient(error)
  const { code, message } = error as NodeJS.ErrnoException
  const name = typeof code === 'string' ? code.toLowerCase() : 'failed'
  return new Failure(message ?? String(error), {
    exitCode: exitCodes.failure,
    code: name,
    cause: error,
  })
}

function fromClient(error: ClientError): Failure {
  const faults = error.errors.slice(0, 20).map(({ path, code, message, fix }) => {
    return `\n  ${path === '' ? '/' : path}: ${message} (${code})${fix === undefined ? '' : `; ${fix}`}`
  })
  const more = error.errors.length > 20 ? `\n  and ${error.errors.length - 20} more` : ''
  return new Failure(`${error.message}${faults.join('')}${more}`, {
    exitCode: exitCodeOf(error),
    code: error.code,
    hint: hintFor(error),
    cause: error,
  })
}

function exitCodeOf({ code, status }: ClientError): ExitCode {
  if (code === 'idempotency_mismatch') return exitCodes.conflict
  if (status === 0) return exitCodes.unreachable
  if (status === 401 || status === 403) return exitCodes.auth
  if (status === 404) return exitCodes.notFound
  if (status === 409 || status === 412) return exitCodes.conflict
  return exitCodes.failure
}

function hintFor(error: ClientError): string | undefined {
  const { code, retryAfterS, members, requestId } = error
  switch (code) {
    case 'unreachable':
    case 'timed_out':
      return 'is it running, and is the address right? See: weir doctor'
    case 'bad_answer':
      return 'is this the address of a Weir API? See: weir doctor'
    case 'unauthenticated':
      return 'give a key: WEIR_KEY, --key-file, or weir context set'
    case 'forbidden':
      return 'who you are: weir doctor; an operator acts inside a tenant with --tenant and --reason'
    case 'invalid_transition':
      return Array.isArray(members.allowed) && members.allowed.length > 0
        ? `it is ${members.state}; allowed: ${members.allowed.join(', ')}`
        : `it is ${members.state}; nothing can be asked of it`
    case 'contract_incompatible':
      return adviceOnContract(error)
    case 'version_conflict':
      return 'somebody has published meanwhile: weir diff -f FILE'
    case 'internal':
      return requestId === undefined
        ? undefined
        : `the server's log has it under request ${requestId}`
    default:
      return retryAfterS === undefined
        ? undefined
        : `try again in ${Math.ceil(retryAfterS)} s${causeOf(members)}`
  }
}

/** Where a version breaks another one; where it only has other contracts, the message says enough. */
function adviceOnContract({ message, members }: ClientError): string | undefined {
  const [, name, major] = /^(.+)@(\d+)$/.exec(String(members.stage)) ?? []
  if (name === undefined || !message.includes(' breaks ')) return undefined
  const next = Number(major) + 1
  return `what callers notice is a new major: as ${next}.0.0 it is ${name}@${next}, beside ${members.stage}`
}

function causeOf({ cause, stage }: Readonly<Record<string, unknown>>): string {
  const where = typeof stage === 'string' ? ` at ${stage}` : ''
  return typeof cause === 'string' ? ` (caused by the ${cause}${where})` : ''
}
