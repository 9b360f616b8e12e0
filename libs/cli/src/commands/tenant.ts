import { QUOTA_NAMES, type Quotas } from '@weir/client'
import { resolveTarget, type TargetOptions } from '../config/target.ts'
import { confirm } from '../confirm.ts'
import type { Context, Run } from '../context.ts'
import { usage } from '../failure.ts'
import { formatRecord } from '../output/record-table.ts'
import { parseInteger, parsePairs } from '../pairs.ts'
import { keepInContext, keepKey, reserveContext, reserveKeyFile } from '../save-key.ts'

type CreateFlags = TargetOptions & {
  readonly quota?: readonly string[]
  readonly saveKey?: string
  readonly saveContext?: string
}
type UpdateFlags = {
  readonly rename?: string
  readonly quota?: readonly string[]
  readonly suspend?: boolean
  readonly unsuspend?: boolean
}

const idOf = ({ args }: Context): string => args[0] as string

export const createTenant: Run<CreateFlags> = async (context, flags) => {
  const quotas = quotasOf(flags.quota)
  const { tenants } = await context.connect()
  const { saveKey, saveContext } = flags
  reserveContext(context, saveContext)
  const file = reserveKeyFile(context, saveKey)
  const tenant = await tenants.create(idOf(context), quotas)
  const { adminKey, ...others } = tenant
  if (saveContext !== undefined) {
    keepInContext(context, saveContext, resolveTarget(flags, context.io).api, adminKey)
  }
  const isKept = saveContext !== undefined && saveKey === undefined
  const shown = isKept ? others : keepKey(context, file, tenant, 'adminKey')
  await context.out.show({
    data: shown,
    table: () => formatRecord(shown),
    names: () => [tenant.id],
  })
}

export const updateTenant: Run<UpdateFlags> = async (context, flags) => {
  const { rename, suspend, unsuspend } = flags
  if (suspend && unsuspend) throw usage('--suspend and --unsuspend exclude each other')
  const quotas = quotasOf(flags.quota)
  const change = {
    ...(rename === undefined ? {} : { name: rename }),
    ...(suspend || unsuspend ? { suspended: suspend === true } : {}),
    ...(quotas === undefined ? {} : { quotas }),
  }
  if (Object.keys(change).length === 0) throw usage('what should be changed?')
  const { tenants } = await context.connect()
  const tenant = await tenants.update(idOf(context), change)
  const { quotas: all, ...head } = tenant
  await context.out.show({
    data: tenant,
    table: () => formatRecord({ ...head, ...all }),
    names: () => [tenant.id],
  })
}

export const deleteTenant: Run<{ readonly yes?: boolean }> = async (context, { yes }) => {
  const id = idOf(context)
  const { tenants } = await context.connect()
  const { name } = await tenants.get(id)
  await confirm(context, `The tenant "${name}" will be gone, its keys with it.`, yes)
  await tenants.delete(id)
  context.say(`"${name}" is deleted`)
}

function quotasOf(pairs: readonly string[] | undefined): Partial<Quotas> | undefined {
  if (pairs === undefined) return undefined
  const entries = Object.entries(parsePairs('--quota', pairs)).map(([name, text]) => {
    if (!(QUOTA_NAMES as readonly string[]).includes(name)) {
      throw usage(`there is no quota "${name}"`, `there are ${QUOTA_NAMES.join(', ')}`)
    }
    return [name, parseInteger(`--quota ${name}`, text)]
  })
  return Object.fromEntries(entries) as Partial<Quotas>
}
