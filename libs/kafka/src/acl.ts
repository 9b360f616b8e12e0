import type { Access } from '@weir/contracts'
import type { ClientAcl, ClientAdmin } from './internals.ts'

/** Somebody, as the brokers know him (`User:…`), is allowed something, from any host. */
export type Acl = Access & { readonly principal: string }

const KINDS = { topic: 2, group: 3 } as const
const PATTERNS = { literal: 3, prefixed: 4 } as const
const OPERATIONS = { read: 3, write: 4, create: 5, describe: 8 } as const
const ANY = 1
const ALLOW = 3

export function toProtocol({ principal, kind, name, pattern, operation }: Acl): ClientAcl {
  return {
    resourceType: KINDS[kind],
    resourceName: name,
    resourcePatternType: PATTERNS[pattern],
    principal,
    host: '*',
    operation: OPERATIONS[operation],
    permissionType: ALLOW,
  }
}

/** The filter that lets everything of one principal through. */
export function anyOf(principal: string): Partial<ClientAcl> {
  const everything = { resourceType: ANY, resourcePatternType: ANY, operation: ANY }
  return { ...everything, permissionType: ANY, principal }
}

type Described = Awaited<ReturnType<ClientAdmin['describeAcls']>>

export function fromProtocol({ resources }: Described): Acl[] {
  return resources.flatMap(({ resourceType, resourceName, resourcePatternType, acls }) =>
    acls.flatMap(({ principal, host, operation, permissionType }) => {
      const kind = nameOf(KINDS, resourceType)
      const pattern = nameOf(PATTERNS, resourcePatternType)
      const does = nameOf(OPERATIONS, operation)
      const isOurs = host === '*' && permissionType === ALLOW
      if (!isOurs || kind === undefined || pattern === undefined || does === undefined) return []
      return [{ principal, kind, name: resourceName, pattern, operation: does }]
    }),
  )
}

function nameOf<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
  wanted: number,
): Name | undefined {
  return (Object.keys(numbers) as Name[]).find((name) => numbers[name] === wanted)
}
