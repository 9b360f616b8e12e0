import assert from 'node:assert/strict'
import test from 'node:test'
import { INSTALLATION } from '@weir/postgres'
import { createLogger } from '@weir/runtime'
import { createAuditLog, type Note } from './audit-log.ts'
import type { NewEntry } from './entry.ts'

const log = createLogger({ service: 'audit', level: 'fatal' })

const denied = (alike: string): Note => ({
  action: 'access.denied',
  tenant: 'acme',
  actor: 'key:1',
  object: '/v1/keys',
  requestId: 'r',
  alike,
  detail: { request: 'GET /v1/keys', address: '::1', cause: 'role' },
})

function createLog(write: (tenant: string, entry: NewEntry) => Promise<void>) {
  const noted: string[] = []
  const audit = createAuditLog({ write, log, onNoted: (outcome) => noted.push(outcome) })
  return { audit, noted }
}

test('an entry that cannot be written is counted, and those behind it are written', async () => {
  const written: string[] = []
  let isAway = true
  const { audit, noted } = createLog(async (_tenant, { object }) => {
    if (isAway) throw new Error('the database is away')
    written.push(object)
  })
  audit.note(denied('a'))
  await audit.settled()
  isAway = false
  audit.note(denied('b'))
  await audit.settled()
  assert.deepEqual(noted, ['first', 'failed', 'first'])
  assert.deepEqual(written, ['/v1/keys'])
  await audit.stop()
})

test('nobody waits for what is noted, and the stop writes what was only counted', async () => {
  const entries: NewEntry[] = []
  const gate = Promise.withResolvers<void>()
  const { audit } = createLog(async (_tenant, entry) => {
    await gate.promise
    entries.push(entry)
  })
  for (let at = 0; at < 10; at += 1) audit.note(denied('a'))
  assert.equal(entries.length, 0)
  gate.resolve()
  await audit.stop()
  const counts = entries.map(({ detail }) => JSON.parse(detail ?? '{}').count)
  assert.deepEqual(counts, [1, 9])
})

test('the stop gives up what a database that does not answer leaves waiting', async () => {
  const gate = Promise.withResolvers<void>()
  const { audit, noted } = createLog(() => gate.promise)
  for (let at = 0; at < 20; at += 1) audit.note(denied(String(at)))
  const stopped = audit.stop()
  const end = performance.now() + 10_000
  while (!noted.includes('failed')) {
    assert.ok(performance.now() < end, 'it waits on')
    await new Promise(setImmediate)
  }
  gate.resolve()
  await stopped
  assert.equal(noted.filter((outcome) => outcome === 'failed').length, 19)
})

test('a copy of an entry is written as it is', async () => {
  const tenants: string[] = []
  const { audit } = createLog(async (tenant) => void tenants.push(tenant))
  const entry = {
    id: 'i',
    actor: 'operator',
    action: 'tenant.delete',
    object: 'tenant:1',
    decision: 'allowed',
    requestId: 'r',
    reason: null,
    detail: null,
  } as const
  audit.write(INSTALLATION, entry)
  await audit.stop()
  assert.deepEqual(tenants, [INSTALLATION])
})
