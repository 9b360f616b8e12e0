import { type Client, ClientError, createClient } from '@weir/client'
import { contextsPath, isReadableByOthers } from '../config/contexts.ts'
import { resolveTarget, type Target, type TargetOptions } from '../config/target.ts'
import type { Run } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { toFailure } from '../failure.ts'
import { stateCell } from '../output/paint.ts'
import { formatTable } from '../output/table.ts'

export type Check = {
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly found: string
  /** What to do about it. */
  readonly advice?: string
  readonly exitCode?: ExitCode
}

/** The `Date` header has whole seconds, and the answer took its time. */
const SKEW_WARN_MS = 5_000
const TIMEOUT_MS = 10_000

export const doctor: Run<TargetOptions> = async (context, options) => {
  const { io, out } = context
  const target = resolveTarget(options, io)
  const { api: baseUrl, key, tenant } = target
  const client = createClient({
    baseUrl,
    key,
    tenant,
    timeoutMs: TIMEOUT_MS,
    retry: { attempts: 1 },
    signal: io.signal,
  })
  const checks: Check[] = [checkFiles(io.env)]
  const { server, skew } = await checkServer(client, target)
  checks.push(server, ...skew)
  if (server.status === 'ok') {
    checks.push(await checkReadiness(client), await checkCredential(client, target))
    checks.push(...(await checkStages(client)))
  }
  io.signal.throwIfAborted()
  const rows = checks.map(({ check, status, found, advice }) => [
    check,
    stateCell(status),
    advice === undefined ? found : `${found}; ${advice}`,
  ])
  const isWell = checks.every(({ status }) => status !== 'fail')
  await out.show({
    data: { ok: isWell, api: target.api, checks: checks.map(({ exitCode: _, ...check }) => check) },
    table: (paint) => formatTable(['CHECK', 'STATUS', 'FOUND'], rows, paint),
    names: () => [],
  })
  return (
    checks.find(({ status }) => status === 'fail')?.exitCode ?? (isWell ? 0 : exitCodes.failure)
  )
}

function checkFiles(env: Readonly<Record<string, string | undefined>>): Check {
  const path = contextsPath(env)
  if (!isReadableByOthers(path)) return { check: 'contexts', status: 'ok', found: path }
  const found = `${path} can be read by others`
  return { check: 'contexts', status: 'warn', found, advice: `chmod 600 ${path}` }
}

async function checkServer(client: Client, { api, apiFrom }: Target) {
  const sentMs = Date.now()
  try {
    const { serverMs } = await client.health()
    const tookMs = Date.now() - sentMs
    const found = `${api} (${apiFrom}) answers in ${tookMs} ms${await versionOf(client)}`
    const server: Check = { check: 'server', status: 'ok', found }
    return { server, skew: serverMs === undefined ? [] : [checkSkew(serverMs, sentMs, tookMs)] }
  } catch (error) {
    const { message, exitCode } = toFailure(error)
    const advice =
      apiFrom === 'default'
        ? 'start one with weir up, or say where it is: WEIR_API, --api, weir context set'
        : `is the address from ${apiFrom} right, and does it run?`
    const server: Check = { check: 'server', status: 'fail', found: message, advice, exitCode }
    return { server, skew: [] }
  }
}

async function versionOf(client: Client): Promise<string> {
  try {
    return `, version ${(await client.openapi()).info.version}`
  } catch {
    return ''
  }
}

/** Compared with the middle of the request; half a second is what the header cuts off on average. */
export function checkSkew(serverMs: number, sentMs: number, tookMs: number): Check {
  const skewMs = serverMs + 500 - (sentMs + tookMs / 2)
  const isOff = Math.abs(skewMs) > SKEW_WARN_MS + tookMs
  const found = `the server is ${Math.round(Math.abs(skewMs) / 1_000)} s ${skewMs > 0 ? 'ahead' : 'behind'}`
  return isOff
    ? {
        check: 'clock',
        status: 'warn',
        found,
        advice: 'set both clocks by NTP: times and expiries are off',
      }
    : { check: 'clock', status: 'ok', found: 'agrees with the server’s' }
}

async function checkReadiness(client: Client): Promise<Check> {
  const check = 'readiness'
  try {
    const { isReady, checks } = await client.readiness()
    const parts = Object.entries(checks).map(([part, state]) => `${part}: ${state}`)
    const found = parts.join(', ') || 'nothing said'
    if (isReady) return { check, status: 'ok', found }
    const advice = 'see the log of the part that fails'
    return { check, status: 'fail', found, advice, exitCode: exitCodes.failure }
  } catch (error) {
    const { message, exitCode } = toFailure(error)
    return { check, status: 'fail', found: message, exitCode }
  }
}

async function checkCredential(client: Client, { key, keyFrom }: Target): Promise<Check> {
  const check = 'credential'
  if (key === undefined) {
    const advice = 'set WEIR_KEY, or keep one: weir context set NAME --api URL --key-file FILE'
    return { check, status: 'fail', found: 'no key', advice, exitCode: exitCodes.auth }
  }
  try {
    const { role, tenant } = await client.whoami()
    const who = tenant === null ? role : `${role} of ${tenant.name}`
    return { check, status: 'ok', found: `${who} (key from ${keyFrom})` }
  } catch (error) {
    const { message, exitCode } = toFailure(error)
    const isRefused = ClientError.is(error) && error.status === 401
    const advice = isRefused ? `the key from ${keyFrom} is wrong, revoked or expired` : undefined
    const extra = advice === undefined ? {} : { advice }
    return { check, status: 'fail', found: message, exitCode, ...extra }
  }
}

/** Stages without instances hold what is sent to them: the usual reason why a job does not move. */
async function checkStages(client: Client): Promise<readonly Check[]> {
  const check = 'stages'
  try {
    const stages = await client.stages.list()
    const idle = stages.filter(({ state, instances }) => {
      return state !== 'terminated' && (state !== 'active' || instances.length === 0)
    })
    const found = `${stages.length - idle.length} of ${stages.length} are at work`
    if (idle.length === 0) return [{ check, status: 'ok', found }]
    const names = idle.slice(0, 5).map(({ ref }) => ref)
    const advice = `look at ${names.join(', ')}${idle.length > 5 ? ', …' : ''}: weir stage get NAME`
    return [{ check, status: 'warn', found, advice }]
  } catch {
    // The check of the credential has said why.
    return []
  }
}
