import type { Role } from '@weir/contracts'

type PermissionSpec = {
  readonly roles: readonly Role[]
  /** Whose things the call touches: a tenant's, the installation's, or what both may see. */
  readonly within: 'tenant' | 'installation' | 'either'
}

const everyone: readonly Role[] = ['admin', 'developer', 'submitter', 'viewer']

const tenant = (roles: readonly Role[]): PermissionSpec => ({ roles, within: 'tenant' })
const operator: PermissionSpec = { roles: ['operator'], within: 'installation' }

/** Who may do what. Every route names one of these, or `public`; a route without one does not start. */
export const permissions = {
  public: { roles: [], within: 'either' },
  'self:read': { roles: ['operator', ...everyone], within: 'either' },
  'tenants:manage': operator,
  'stages:manage': operator,
  'stages:read': { roles: ['operator', ...everyone], within: 'either' },
  // What all tenants together do there: no tenant's business.
  'stages:measure': operator,
  'flow:read': { roles: ['operator', ...everyone], within: 'either' },
  // A tenant's own, or the installation's where an operator is inside of none.
  'audit:read': { roles: ['operator', 'admin'], within: 'either' },
  'keys:manage': tenant(['admin']),
  'usage:read': tenant(everyone),
  'pipelines:write': tenant(['admin', 'developer']),
  'pipelines:read': tenant(everyone),
  'jobs:submit': tenant(['admin', 'developer', 'submitter']),
  'jobs:cancel': tenant(['admin', 'developer', 'submitter']),
  'jobs:read': tenant(everyone),
} as const satisfies Record<string, PermissionSpec>

export type Permission = keyof typeof permissions

/** What a caller is allowed; an operator who acts inside a tenant counts as its admin there. */
export function isAllowed(permission: Permission, role: Role, insideTenant: boolean): boolean {
  const { roles, within } = permissions[permission] as PermissionSpec
  if (role === 'operator' && insideTenant && within === 'tenant') return roles.includes('admin')
  return roles.includes(role)
}
