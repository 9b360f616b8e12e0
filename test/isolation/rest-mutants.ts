/** A text of a source, and what stands there instead once the control is taken away. */
export type Patch = { readonly file: string; readonly from: string; readonly to: string }

export type RestMutant = {
  readonly sentence: string
  /** Of the catalogue of attacks. */
  readonly number: number
  /** The test that must notice. */
  readonly file: string
  readonly test: string
  /** What its failed assertion says: that it fails for this reason and no other. */
  readonly says: RegExp
  readonly patches: readonly Patch[]
}

const src = 'services/control/src'
const queries = 'libs/postgres/src/queries'

const isolation = 'services/control/test/isolation.test.ts'
const tenants = 'services/control/test/tenants.test.ts'
const badInput = 'services/control/test/bad-input.test.ts'
const admission = 'services/control/test/admission.test.ts'
const keyCache = `${src}/auth/key-cache.test.ts`

const like404 = 'another tenant’s thing is answered like one that does not exist'
const lists = 'lists, filters and forged cursors show nothing of another tenant'
const members = 'members that nobody may set are refused, not ignored'
const roles = 'every route answers every role as the contract says'
const shapes = 'bodies that are no JSON, or not only one reading of it, are refused'

/** Takes a control of the database away, once the boot check of the role has passed. */
const inDatabase = (sql: string): Patch => ({
  file: 'services/control/test/support.ts',
  from: '    await control.start()\n',
  to: `    await control.start()\n    await db.admin(${JSON.stringify(sql)})\n`,
})

const dropPolicy = (table: string): Patch =>
  inDatabase(`drop policy if exists ${table}_tenant on weir.${table}`)

/** The check of a body's text, without one of its throws. */
const inStrictJson = (from: string, to = ''): Patch => ({
  file: `${src}/http/strict-json.ts`,
  from,
  to,
})

// A row has two locks, the predicate of its query and the policy of its table, and either holds
// alone: of these, both are taken away.
export const restMutants: readonly RestMutant[] = [
  {
    sentence: 'a job and its plan are read by their names alone, and no policy stops it',
    number: 35,
    file: isolation,
    test: like404,
    says: /GET \/v1\/jobs\//,
    patches: [
      dropPolicy('jobs'),
      dropPolicy('pipeline_versions'),
      {
        file: `${queries}/jobs.ts`,
        from: 'where j.tenant_id = $1 and j.id = $2`',
        to: 'where j.id = $2`',
      },
      {
        file: `${queries}/pipelines.ts`,
        from: 'where tenant_id = $1 and name = $2 and version = $3`',
        to: 'where $1::uuid is not null and name = $2 and version = $3`',
      },
    ],
  },
  {
    sentence: 'a job is cancelled by its id alone, and no policy stops it',
    number: 35,
    file: isolation,
    test: like404,
    says: /POST \/v1\/jobs\/.*\/cancel/,
    patches: [
      dropPolicy('jobs'),
      {
        file: `${queries}/cancel.ts`,
        from: 'where j.tenant_id = $1 and j.id = k.id',
        to: 'where j.id = k.id',
      },
    ],
  },
  {
    sentence: 'a pipeline is deleted by its name alone, and no policy stops it',
    number: 35,
    file: isolation,
    test: like404,
    says: /DELETE \/v1\/pipelines\/theirs/,
    patches: [
      dropPolicy('pipelines'),
      {
        file: `${queries}/pipelines.ts`,
        from: 'set deleted_at = now()\n      where tenant_id = $1 and',
        to: 'set deleted_at = now()\n      where $1::uuid is not null and',
      },
    ],
  },
  {
    sentence: 'a key is revoked by its id alone, and no policy stops it',
    number: 35,
    file: isolation,
    test: like404,
    says: /DELETE \/v1\/keys\//,
    patches: [
      dropPolicy('api_keys'),
      {
        file: `${queries}/keys.ts`,
        from: 'where tenant_id = $1 and id = $2`',
        to: 'where $1::uuid is not null and id = $2`',
      },
    ],
  },
  {
    sentence: 'a key that is not there counts as revoked',
    number: 35,
    file: isolation,
    test: like404,
    says: /DELETE \/v1\/keys\//,
    patches: [{ file: `${src}/routes/keys.ts`, from: 'if (!isRevoked) throw notFound()', to: '' }],
  },
  {
    sentence: 'a header names the tenant',
    number: 36,
    file: tenants,
    test: 'the tenant comes from the credential alone; no header makes another of it',
    says: /200 !== 403/,
    patches: [
      {
        file: `${src}/auth/authenticate.ts`,
        from: 'if (named !== undefined && named !== key.tenant) {',
        to: 'if (named === "") {',
      },
      {
        file: `${src}/auth/authenticate.ts`,
        from: 'const tenant = { id: key.tenant, name: key.tenantName }',
        to: 'const tenant = { id: named ?? key.tenant, name: key.tenantName }',
      },
    ],
  },
  {
    sentence: 'an operator enters a tenant without a reason',
    number: 36,
    file: tenants,
    test: 'an operator acts inside a tenant only with a reason, and that is written down',
    says: /200 !== 403/,
    patches: [
      {
        file: `${src}/auth/authenticate.ts`,
        from: `if (typeof reason !== 'string' || reason.trim() === '' || reason.length > REASON_LENGTH_MAX) {`,
        to: 'if (reason === "") {',
      },
      {
        file: `${src}/auth/authenticate.ts`,
        from: 'reason: reason.trim()',
        to: 'reason: String(reason)',
      },
    ],
  },
  {
    sentence: 'what an operator does in a tenant is not written down',
    number: 36,
    file: tenants,
    test: 'an operator acts inside a tenant only with a reason, and that is written down',
    says: /undefined/,
    patches: [
      {
        file: `${src}/auth/authenticate.ts`,
        from: `if (tenant === undefined || role !== 'operator') return`,
        to: 'return',
      },
    ],
  },
  {
    sentence: 'the list of jobs is everybody’s, and no policy stops it',
    number: 37,
    file: isolation,
    test: lists,
    says: /their-correlation/,
    patches: [
      dropPolicy('jobs'),
      {
        file: `${queries}/jobs.ts`,
        from: `const where = ['j.tenant_id = $1']`,
        to: `const where = ['$1::uuid is not null']`,
      },
    ],
  },
  {
    sentence: 'a submit may have any member',
    number: 39,
    file: isolation,
    test: members,
    says: /\/v1\/pipelines\/ours\/jobs .*tenant_id/,
    patches: [
      {
        file: `${src}/submit/job-schema.ts`,
        from: 'submitSchema = Type.Object(members, closed)',
        to: 'submitSchema = Type.Object(members)',
      },
    ],
  },
  {
    sentence: 'a new key may have any member',
    number: 39,
    file: isolation,
    test: members,
    says: /\/v1\/keys .*tenant_id/,
    patches: [
      {
        file: `${src}/routes/keys.ts`,
        from: 'expiresAt: Type.Optional(time),\n        },\n        closed,',
        to: 'expiresAt: Type.Optional(time),\n        },',
      },
    ],
  },
  {
    sentence: 'members that are unknown are dropped in silence',
    number: 39,
    file: isolation,
    test: members,
    says: /\/v1\/pipelines\/ours\/jobs .*tenant_id/,
    patches: [
      {
        file: `${src}/http/validator.ts`,
        from: 'removeAdditional: false',
        to: 'removeAdditional: true',
      },
    ],
  },
  {
    sentence: 'a tenant may ask for an operator’s key',
    number: 39,
    file: isolation,
    test: members,
    says: /500 !== 400/,
    patches: [
      {
        file: `${src}/routes/keys.ts`,
        from: `oneOf(['admin', `,
        to: `oneOf(['operator', 'admin', `,
      },
    ],
  },
  {
    sentence: 'of two equal keys in a body the last wins',
    number: 40,
    file: badInput,
    test: shapes,
    says: /\{"input":1,"input":2\} 202/,
    patches: [inStrictJson('if (countColons(text) !== keys) throw', 'if (keys < 0) throw')],
  },
  {
    sentence: 'what the role does not include is done all the same',
    number: 41,
    file: isolation,
    test: roles,
    says: /viewer POST \/v1\/pipelines\/\{name\}\/jobs: 400/,
    patches: [
      { file: `${src}/auth/authenticate.ts`, from: 'if (!allowed) throw', to: 'if (false) throw' },
    ],
  },
  {
    sentence: 'a permission includes a role that the contract does not give it',
    number: 41,
    file: isolation,
    test: roles,
    says: /developer POST \/v1\/keys: 400/,
    patches: [
      {
        file: `${src}/auth/permissions.ts`,
        from: `'keys:manage': tenant(['admin'])`,
        to: `'keys:manage': tenant(['admin', 'developer'])`,
      },
    ],
  },
  {
    sentence: 'a viewer may submit',
    number: 41,
    file: isolation,
    test: 'a denial is written to the audit log',
    says: /202 !== 403/,
    patches: [
      {
        file: `${src}/auth/permissions.ts`,
        from: `'jobs:submit': tenant(['admin', 'developer', 'submitter'])`,
        to: `'jobs:submit': tenant(everyone)`,
      },
    ],
  },
  {
    sentence: 'a viewer may cancel',
    number: 41,
    file: isolation,
    test: roles,
    says: /viewer POST \/v1\/jobs\/cancel: 400/,
    patches: [
      {
        file: `${src}/auth/permissions.ts`,
        from: `'jobs:cancel': tenant(['admin', 'developer', 'submitter'])`,
        to: `'jobs:cancel': tenant(everyone)`,
      },
    ],
  },
  {
    sentence: 'a denial is not written down',
    number: 41,
    file: isolation,
    test: 'a denial is written to the audit log',
    says: /undefined/,
    patches: [
      {
        file: `${src}/auth/authenticate.ts`,
        from: 'request.scope.denial = denial',
        to: '',
      },
    ],
  },
  {
    sentence: 'everybody reads the audit log of the installation',
    number: 41,
    file: isolation,
    test: 'nobody reads the audit log of another tenant, or of the installation',
    says: /rival|installation/,
    patches: [
      {
        file: `${src}/routes/audit.ts`,
        from: 'callerOf(request).tenant?.id ?? INSTALLATION',
        to: 'INSTALLATION',
      },
    ],
  },
  {
    sentence: 'a revoked key is still kept here',
    number: 42,
    file: tenants,
    test: 'a key is shown once, listed without its secret, and revoked at once on this instance',
    says: /200 !== 401/,
    patches: [{ file: `${src}/routes/keys.ts`, from: 'keys.forget(id)', to: '' }],
  },
  {
    sentence: 'a revoked key is kept for longer than half a minute',
    number: 42,
    file: keyCache,
    test: 'a revoked key stops working within 30 s, and at once where it was revoked',
    says: /revoked/,
    patches: [
      { file: `${src}/auth/key-cache.ts`, from: 'KEPT_MS = 20_000', to: 'KEPT_MS = 40_000' },
    ],
  },
  {
    sentence: 'a revoked key is as good as any',
    number: 42,
    file: tenants,
    test: 'a key is shown once, listed without its secret, and revoked at once on this instance',
    says: /200 !== 401/,
    patches: [
      {
        file: `${src}/auth/key-cache.ts`,
        from: `if (revokedAt !== null) return 'revoked'`,
        to: '',
      },
    ],
  },
  {
    sentence: 'an expired key is as good as any',
    number: 42,
    file: tenants,
    test: 'an expired key is refused, and a key cannot be made to have expired',
    says: /200 !== 401/,
    patches: [
      {
        file: `${src}/auth/key-cache.ts`,
        from: 'expiresAt.getTime() <= nowMs',
        to: 'expiresAt.getTime() < 0',
      },
    ],
  },
  {
    sentence: 'the secret of a key is not looked at',
    number: 42,
    file: tenants,
    test: 'no credential, a broken one, a wrong secret and an unknown key are all 401 in the same words',
    says: /200 !== 401/,
    patches: [
      {
        file: `${src}/auth/key-cache.ts`,
        from: 'const isRight = verifySecret(secret, found?.secretHash)',
        to: 'const isRight = secret !== ""',
      },
    ],
  },
  {
    sentence: 'a suspended tenant goes on',
    number: 42,
    file: tenants,
    test: 'a suspended tenant is refused on an instance that has not seen its key yet',
    says: /200 !== 403/,
    patches: [
      {
        file: `${src}/auth/authenticate.ts`,
        from: 'if (key.suspended) {',
        to: 'if (false) {',
      },
    ],
  },
  {
    sentence: 'a body may have __proto__',
    number: 44,
    file: badInput,
    test: shapes,
    says: /__pr\\u006fto__.* 202/,
    patches: [inStrictJson(`if (key === '__proto__') throw`, 'if (false) throw')],
  },
  {
    sentence: 'a body may have constructor.prototype',
    number: 44,
    file: badInput,
    test: shapes,
    says: /"constructor":\{"prototype".* 202/,
    patches: [inStrictJson(`if (key === 'constructor' && `, 'if (false && ')],
  },
  {
    sentence: 'a body may be nested to any depth',
    number: 45,
    file: badInput,
    test: shapes,
    says: /\{"input":\[\[\[.* 202/,
    patches: [inStrictJson('if (depth >= limits.jsonDepth) throw', 'if (false) throw')],
  },
  {
    sentence: 'a body may have NUL characters',
    number: 45,
    file: badInput,
    test: shapes,
    says: /a\\u0000b.* (202|500)/,
    patches: [inStrictJson(`if (value.includes('\\u0000')) throw`, 'if (false) throw')],
  },
  {
    sentence: 'lines of a batch are all read, however many',
    number: 45,
    file: badInput,
    test: 'bodies above the limit are refused, and the one at the limit is not',
    says: /maxItems/,
    patches: [
      {
        file: `${src}/http/ndjson.ts`,
        from: 'if (jobs.length === limits.batchJobs) {',
        to: 'if (false) {',
      },
    ],
  },
  {
    sentence: 'a content type in an odd spelling is let through',
    number: 46,
    file: badInput,
    test: 'content types in odd spellings are refused, whatever the body',
    says: /application\/json;x/,
    patches: [{ file: `${src}/http/content-type.ts`, from: ' || !isPlain', to: '' }],
  },
  {
    sentence: 'an idempotency key is looked up among everybody’s, and no policy stops it',
    number: 51,
    file: admission,
    test: 'the same key in two tenants names two independent jobs',
    says: /\+ {3}422\n- {3}202/,
    patches: [
      dropPolicy('submit_keys'),
      inDatabase(`do $$ begin execute replace(
        pg_get_functiondef('app.admit_jobs'::regproc),
        'on k.tenant_id = tenant and k.key = s.key', 'on k.key = s.key'
      ); end $$`),
    ],
  },
]
