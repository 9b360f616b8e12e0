import type { TenantRole } from '@weir/client'
import { confirm } from '../confirm.ts'
import type { Run } from '../context.ts'
import { usage } from '../failure.ts'
import { formatRecord } from '../output/record-table.ts'
import { keepKey, reserveKeyFile } from '../save-key.ts'

type CreateFlags = {
  readonly role?: TenantRole
  readonly scope?: readonly string[]
  readonly expires?: string
  readonly saveKey?: string
}

export const createKey: Run<CreateFlags> = async (context, flags) => {
  const { role, scope, expires } = flags
  if (role === undefined) throw usage('--role is needed: what may the key do?')
  const expiresAt = expires === undefined ? undefined : parseExpiry(expires)
  const { keys } = await context.connect()
  const file = reserveKeyFile(context, flags.saveKey)
  const key = await keys.create({
    name: context.args[0] as string,
    role,
    ...(scope === undefined ? {} : { scopes: scope }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  })
  const shown = keepKey(context, file, key, 'key')
  await context.out.show({ data: shown, table: () => formatRecord(shown), names: () => [key.id] })
}

export const revokeKey: Run<{ readonly yes?: boolean }> = async (context, { yes }) => {
  const id = context.args[0] as string
  await confirm(context, `Whoever uses the key ${id} will be refused.`, yes)
  const { keys } = await context.connect()
  await keys.revoke(id)
  context.say(`${id} is revoked, everywhere within 30 s`)
}

const HOUR_MS = 3_600_000

/** A time of RFC 3339, or a span of hours or days from now. */
export function parseExpiry(text: string, nowMs: number = Date.now()): string {
  const [, count, unit] = /^([1-9]\d{0,4})([hd])$/.exec(text) ?? []
  const ms =
    count === undefined
      ? Date.parse(text)
      : nowMs + Number(count) * (unit === 'd' ? 24 * HOUR_MS : HOUR_MS)
  if (Number.isNaN(ms))
    throw usage(`--expires takes a time of RFC 3339 or a span like 90d, not "${text}"`)
  return new Date(ms).toISOString()
}
