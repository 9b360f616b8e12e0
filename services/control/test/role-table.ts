import type { Role } from '@weir/contracts'

/** Who calls: a role, the operator outside of every tenant, or nobody with a credential. */
export type Asker = Role | 'nobody'

/**
 * Who may call what, written down from the REST contract and not from the code: `yes`, or the status
 * of the refusal. Of the roles of a tenant each may do what those behind it may; the operator has no
 * tenant of its own, and what all tenants together do at a stage is the operator's to see.
 */
const table = `
                                              admin  developer  submitter  viewer  operator  nobody
GET    /healthz                               yes    yes        yes        yes     yes       yes
GET    /readyz                                yes    yes        yes        yes     yes       yes
GET    /metrics                               yes    yes        yes        yes     yes       yes
GET    /openapi.json                          yes    yes        yes        yes     yes       yes
POST   /v1/pipelines/{name}/jobs              yes    yes        yes        403     403       401
POST   /v1/pipelines/{name}/jobs/batch        yes    yes        yes        403     403       401
GET    /v1/jobs                               yes    yes        yes        yes     403       401
GET    /v1/jobs/counts                        yes    yes        yes        yes     403       401
POST   /v1/jobs/cancel                        yes    yes        yes        403     403       401
GET    /v1/jobs/{id}                          yes    yes        yes        yes     403       401
GET    /v1/jobs/{id}/artifacts                yes    yes        yes        yes     403       401
GET    /v1/jobs/{id}/artifacts/{seq}          yes    yes        yes        yes     403       401
GET    /v1/jobs/{id}/events                   yes    yes        yes        yes     403       401
POST   /v1/jobs/{id}/cancel                   yes    yes        yes        403     403       401
PUT    /v1/pipelines/{name}                   yes    yes        403        403     403       401
POST   /v1/pipelines/{name}/validate          yes    yes        yes        yes     403       401
GET    /v1/pipelines                          yes    yes        yes        yes     403       401
GET    /v1/pipelines/{name}                   yes    yes        yes        yes     403       401
GET    /v1/pipelines/{name}/versions          yes    yes        yes        yes     403       401
GET    /v1/pipelines/{name}/versions/{version} yes   yes        yes        yes     403       401
DELETE /v1/pipelines/{name}                   yes    yes        403        403     403       401
PUT    /v1/pipelines/{name}/current           yes    yes        403        403     403       401
POST   /v1/pipelines/{name}/pause             yes    yes        403        403     403       401
POST   /v1/pipelines/{name}/resume            yes    yes        403        403     403       401
PUT    /v1/stages/{ref}                       403    403        403        403     yes       401
POST   /v1/stages/{ref}/key                   403    403        403        403     yes       401
GET    /v1/stages                             yes    yes        yes        yes     yes       401
GET    /v1/stages/{ref}                       yes    yes        yes        yes     yes       401
POST   /v1/stages/{ref}/activate              403    403        403        403     yes       401
POST   /v1/stages/{ref}/deactivate            403    403        403        403     yes       401
POST   /v1/stages/{ref}/reactivate            403    403        403        403     yes       401
POST   /v1/stages/{ref}/terminate             403    403        403        403     yes       401
GET    /v1/stages/{ref}/telemetry             403    403        403        403     yes       401
GET    /v1/flow                               yes    yes        yes        yes     yes       401
GET    /v1/flow/stream                        yes    yes        yes        yes     yes       401
POST   /v1/tenants                            403    403        403        403     yes       401
GET    /v1/tenants                            403    403        403        403     yes       401
GET    /v1/tenants/{id}                       403    403        403        403     yes       401
PATCH  /v1/tenants/{id}                       403    403        403        403     yes       401
DELETE /v1/tenants/{id}                       403    403        403        403     yes       401
GET    /v1/whoami                             yes    yes        yes        yes     yes       401
GET    /v1/usage                              yes    yes        yes        yes     403       401
GET    /v1/audit                              yes    403        403        403     yes       401
POST   /v1/keys                               yes    403        403        403     403       401
GET    /v1/keys                               yes    403        403        403     403       401
DELETE /v1/keys/{id}                          yes    403        403        403     403       401
`

const [askers = [], ...lines] = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/))

/** By route (`GET /v1/jobs`) and asker: the status of the refusal, or null where it is allowed. */
export const roleTable: ReadonlyMap<string, ReadonlyMap<Asker, number | null>> = new Map(
  lines.map(([method, path, ...cells]) => [
    `${method} ${path}`,
    new Map(cells.map((cell, at) => [askers[at] as Asker, cell === 'yes' ? null : Number(cell)])),
  ]),
)
