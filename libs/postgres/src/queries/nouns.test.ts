import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { toWeirError } from '../errors.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import type { Tx } from '../statement.ts'
import { withTenant } from '../transaction.ts'
import { admitJobs } from './admit.ts'
import { insertAudit, listAudit } from './audit.ts'
import { listContracts, upsertContract } from './contracts.ts'
import { newJob } from './fixtures.ts'
import { findApiKey, insertApiKey, listApiKeys, revokeApiKey } from './keys.ts'
import { addOutbox, deleteOutbox, readOutbox } from './outbox.ts'
import {
  deletePipeline,
  findSubmitTarget,
  getPipeline,
  getVersion,
  insertVersion,
  listPipelines,
  listVersions,
  openPipeline,
  setCurrentVersion,
  setPaused,
} from './pipelines.ts'
import { loadPlans } from './plans.ts'
import { getStage, insertStage, listStages, updateStage } from './stages.ts'
import { sweepSubmitKeys } from './submit-keys.ts'
import {
  deleteTenant,
  getTenant,
  INSTALLATION,
  insertTenant,
  listTenants,
  updateTenant,
} from './tenants.ts'
import { getUsage } from './usage.ts'

let db: TestDatabase
let control: Pool
let tenant: string
let tx: Tx

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
})
after(() => db.drop())

beforeEach(async () => {
  tenant = newUuid()
  await db.addTenant(tenant, `t-${tenant}`)
  tx = asTenant(control, tenant)
})

describe('tenants', () => {
  it('are made with the quotas that are named and defaults for the rest', async () => {
    const id = newUuid()
    const made = await withTenant(control, id, (own) =>
      insertTenant(own, { id, name: 'quoted', quotas: { submitBurst: 7 } }),
    )
    assert.equal(made.quotas.submitBurst, 7)
    assert.equal(made.quotas.submitRatePerSecond, 5000)
    const usage = await getUsage(asTenant(control, id), id)
    assert.deepEqual(usage, {
      queuedJobs: 0,
      inFlightJobs: 0,
      storedBytes: 0,
      pipelines: 0,
      submitTokens: 7,
    })
  })

  it('have names of their own', async () => {
    const id = newUuid()
    const taken = withTenant(control, id, (own) => insertTenant(own, { id, name: `t-${tenant}` }))
    await assert.rejects(taken, (error) => toWeirError(error).code === 'conflict')
  })

  it('are changed, listed and deleted; a deleted one is gone and frees its name', async () => {
    const changed = await updateTenant(tx, tenant, { suspended: true, quotas: { weight: 9 } })
    assert.ok(changed?.suspended && changed.quotas.weight === 9)
    const [newest] = await listTenants(asRole(control), 1)
    assert.equal(newest?.id, tenant)
    const [older] = await listTenants(asRole(control), 1, tenant)
    assert.ok(older !== undefined && older.id < tenant)
    assert.equal(await deleteTenant(tx, tenant), true)
    assert.equal(await deleteTenant(tx, tenant), false)
    assert.equal(await getTenant(tx, tenant), undefined)
    assert.notEqual((await listTenants(asRole(control), 1))[0]?.id, tenant)
    await db.addTenant(newUuid(), `t-${tenant}`)
  })
})

describe('keys', () => {
  const key = () => ({
    id: newUuid(),
    keyId: newUuid(),
    secretHash: Buffer.from([1, 2, 3]),
    name: 'ci',
    role: 'submitter' as const,
    scopes: ['payload:read'],
    expiresAt: null,
  })

  it('are found before the tenant is known, and by nothing but their id', async () => {
    const own = key()
    await insertApiKey(tx, tenant, own)
    const found = await findApiKey(asRole(control), own.keyId)
    assert.deepEqual(found, {
      tenant,
      tenantName: `t-${tenant}`,
      suspended: false,
      id: own.id,
      name: 'ci',
      role: 'submitter',
      scopes: ['payload:read'],
      secretHash: own.secretHash,
      expiresAt: null,
      revokedAt: null,
    })
    assert.equal(await findApiKey(asRole(control), own.id), undefined)
    await deleteTenant(tx, tenant)
    assert.equal(await findApiKey(asRole(control), own.keyId), undefined)
  })

  it('are revoked once and stay listed', async () => {
    const own = key()
    await insertApiKey(tx, tenant, own)
    assert.equal(await revokeApiKey(tx, tenant, own.id), true)
    const revokedAt = (await findApiKey(asRole(control), own.keyId))?.revokedAt
    assert.ok(revokedAt instanceof Date)
    await revokeApiKey(tx, tenant, own.id)
    assert.deepEqual((await listApiKeys(tx, tenant, 10))[0]?.revokedAt, revokedAt)
    assert.equal(await revokeApiKey(tx, tenant, newUuid()), false)
  })
})

describe('pipelines', () => {
  const publish = (name: string, documentHash: string) =>
    withTenant(control, tenant, async (own) => {
      const draft = await openPipeline(own, tenant, name)
      const version = draft.latestVersion + 1
      await insertVersion(own, tenant, {
        name,
        version,
        planId: `${tenant}-${name}-${version}`,
        documentHash,
        document: '{"d":1}',
        effective: '{"e":1}',
        plan: '{"p":1}',
        createdBy: 'key-1',
      })
      return draft
    })

  it('get one version after the other, the newest current', async () => {
    assert.deepEqual(await publish('flow', 'h1'), {
      currentVersion: 0,
      latestVersion: 0,
      documentHash: null,
      planId: null,
      otherPipelines: 0,
      maxPipelines: 100,
    })
    const second = await publish('flow', 'h2')
    assert.equal(second.currentVersion, 1)
    assert.equal(second.documentHash, 'h1')
    const target = await findSubmitTarget(tx, tenant, 'flow')
    assert.deepEqual(target, {
      version: 2,
      planId: `${tenant}-flow-2`,
      effective: '{"e":1}',
      plan: '{"p":1}',
      currentVersion: 2,
      paused: false,
    })
    assert.equal((await findSubmitTarget(tx, tenant, 'flow', 1))?.version, 1)
    assert.equal(await findSubmitTarget(tx, tenant, 'flow', 3), undefined)
    assert.equal((await getVersion(tx, tenant, 'flow', 1))?.documentHash, 'h1')
    assert.deepEqual(
      (await listVersions(tx, tenant, 'flow', 10, 2)).map((each) => each.version),
      [1],
    )
    const plans = await loadPlans(asRole(db.pool('weir_ledger', 1)), [`${tenant}-flow-1`, 'none'])
    assert.deepEqual(plans, [
      { tenant, planId: `${tenant}-flow-1`, pipeline: 'flow', version: 1, plan: '{"p":1}' },
    ])
  })

  it('are numbered without a gap by publishes at the same time', async () => {
    await Promise.all(['a', 'b', 'c', 'd'].map((hash) => publish('busy', hash)))
    const versions = await listVersions(tx, tenant, 'busy', 10)
    assert.deepEqual(
      versions.map((each) => each.version),
      [4, 3, 2, 1],
    )
  })

  it('can be set back, paused and deleted; a deleted one takes up its numbers again', async () => {
    await publish('flow', 'h1')
    await publish('flow', 'h2')
    assert.equal(await setCurrentVersion(tx, tenant, 'flow', 1), true)
    assert.equal(await setCurrentVersion(tx, tenant, 'flow', 3), false)
    assert.equal(await setPaused(tx, tenant, 'flow', true), true)
    const stored = await getPipeline(tx, tenant, 'flow')
    assert.ok(stored?.paused && stored.currentVersion === 1)
    assert.equal(await deletePipeline(tx, tenant, 'flow'), true)
    assert.equal(await deletePipeline(tx, tenant, 'flow'), false)
    assert.equal(await getPipeline(tx, tenant, 'flow'), undefined)
    assert.equal(await findSubmitTarget(tx, tenant, 'flow'), undefined)
    assert.deepEqual(await listPipelines(tx, tenant, 10), [])
    const draft = await publish('flow', 'h3')
    assert.deepEqual([draft.currentVersion, draft.latestVersion, draft.planId], [0, 2, null])
    assert.equal((await listPipelines(tx, tenant, 10))[0]?.currentVersion, 3)
  })

  it('leave nothing behind when publishing is given up', async () => {
    await assert.rejects(
      withTenant(control, tenant, async (own) => {
        await openPipeline(own, tenant, 'given-up')
        throw new Error('not valid')
      }),
    )
    assert.deepEqual(await db.admin(`select from pipelines where name = 'given-up'`), [])
  })
})

describe('stages', () => {
  it('are registered once and changed by compare-and-set', async () => {
    const installation = asTenant(control, INSTALLATION)
    const made = await insertStage(installation, 'locate@1', {
      kind: 'enrich',
      partitions: 4,
      lanes: ['high', 'normal'],
      inFlightMax: 100,
      autoActivate: true,
      state: 'created',
      keyIds: ['k1'],
      spec: '{}',
    })
    assert.ok(made?.rowVersion === 1)
    assert.equal(await insertStage(installation, 'locate@1', made), undefined)
    const changed = await updateStage(installation, 'locate@1', 1, {
      state: 'launched',
      keyIds: ['k1', 'k2'],
    })
    assert.ok(changed?.rowVersion === 2 && changed.state === 'launched')
    assert.equal(await updateStage(installation, 'locate@1', 1, { state: 'active' }), undefined)
    assert.deepEqual(await getStage(installation, 'locate@1'), changed)
    assert.deepEqual(await listStages(asRole(db.pool('weir_watchdog', 1)), 10), [changed])
  })

  it('keep an accepted contract, and replace a refused one', async () => {
    const installation = asTenant(control, INSTALLATION)
    const contract = {
      stage: 'locate@1',
      version: '1.0.0',
      hash: 'h1',
      input: '{}',
      output: '{}',
      accepted: false,
      reason: 'broken',
    }
    await upsertContract(installation, contract)
    const accepted = { ...contract, hash: 'h2', accepted: true, reason: null }
    assert.equal((await upsertContract(installation, accepted))?.accepted, true)
    assert.equal(await upsertContract(installation, { ...contract, hash: 'h3' }), undefined)
    assert.equal((await listContracts(installation, 'locate@1'))[0]?.hash, 'h2')
  })
})

describe('the outbox', () => {
  it('keeps records in order until they are deleted, with tombstones', async () => {
    const relay = asRole(db.pool('weir_dispatcher', 1))
    await withTenant(control, tenant, async (own) => {
      await addOutbox(own, [
        { topic: 'weir.plans', key: 'p1', value: '{}', headers: { v: '1' } },
        { topic: 'weir.plans', key: 'p0', value: null },
      ])
    })
    const records = await readOutbox(relay, 10)
    assert.deepEqual(
      records.map(({ id: _, ...rest }) => rest),
      [
        { topic: 'weir.plans', key: 'p1', value: '{}', headers: { v: '1' } },
        { topic: 'weir.plans', key: 'p0', value: null, headers: {} },
      ],
    )
    await deleteOutbox(relay, [records[0]?.id as number])
    assert.deepEqual(await readOutbox(relay, 10), [records[1]])
  })

  it('takes nothing outside a transaction of a tenant, nor of one that is undone', async () => {
    const record = { topic: 't', key: 'lost', value: '{}' }
    await assert.rejects(addOutbox(asRole(control), [record]), { code: '42501' })
    await assert.rejects(
      withTenant(control, tenant, async (own) => {
        await addOutbox(own, [record])
        throw new Error('undone')
      }),
    )
    assert.deepEqual(await db.admin(`select from outbox where key = 'lost'`), [])
  })
})

describe('the audit log', () => {
  it('keeps what was done, for the tenant and for the installation', async () => {
    const entry = {
      id: newUuid(),
      actor: 'key-1',
      action: 'key.revoke',
      object: 'key-2',
      decision: 'denied' as const,
      requestId: 'r',
      reason: null,
      detail: '{"a":1}',
    }
    await insertAudit(tx, tenant, entry)
    const { at, ...stored } = (await listAudit(tx, tenant, { limit: 10 }))[0] ?? { at: null }
    assert.ok(at instanceof Date)
    assert.deepEqual(stored, entry)
    assert.deepEqual(await listAudit(tx, tenant, { limit: 10, before: entry.id }), [])
    await insertAudit(asTenant(control, INSTALLATION), INSTALLATION, { ...entry, id: newUuid() })
  })
})

describe('idempotency keys', () => {
  it('are swept out when they have expired', async () => {
    const body = { bodyHash: Buffer.from('x') }
    await admitJobs(
      control,
      tenant,
      [newJob({ ...body, idempotencyKey: 'old' }), newJob({ ...body, idempotencyKey: 'new' })],
      { allOrNone: true },
    )
    await db.admin(
      `update submit_keys set created_at = now() - interval '25 hours' where key = 'old'`,
    )
    assert.equal(await sweepSubmitKeys(asRole(db.pool('weir_dispatcher', 1)), 100), 1)
    assert.deepEqual(await db.admin('select key from submit_keys'), [{ key: 'new' }])
  })
})
