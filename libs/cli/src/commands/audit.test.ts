import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { runCli } from '../../test/support.ts'
import { parseTime } from './audit.ts'

const entries = [
  {
    id: '0192f3a0-0000-7000-8000-000000000001',
    at: '2026-01-02T03:04:05.678Z',
    actor: 'key:0192f3a0-0000-7000-8000-000000000002',
    action: 'admission.refused',
    object: 'pipeline:delays',
    decision: 'denied',
    requestId: 'r',
    reason: null,
    detail: { count: 7, code: 'quota_exceeded' },
  },
]

test('a span is told back from now, a time stays what it is, and else neither is guessed', () => {
  const nowMs = Date.parse('2026-01-02T00:00:00.000Z')
  assert.equal(parseTime('--since', '2h', nowMs), '2026-01-01T22:00:00.000Z')
  assert.equal(parseTime('--since', '90s', nowMs), '2026-01-01T23:58:30.000Z')
  assert.equal(parseTime('--since', '2026-01-01T00:00:00Z', nowMs), '2026-01-01T00:00:00.000Z')
  for (const text of ['', 'yesterday', '2w', '-2h'])
    assert.throws(() => parseTime('--since', text, nowMs), /--since takes/)
})

test('entries are shown a line each, and the filters are asked for', async (t) => {
  const server = await startServer(t, () => ({ body: { entries } }))
  const args = ['audit', '--action', 'admission.refused', '--decision', 'denied', '--since', '1h']
  const ran = await runCli([...args, '--limit', '9', '--api', server.baseUrl])
  assert.equal(ran.status, 0, ran.err)
  assert.match(ran.out, /^AT +ACTOR +ACTION +OBJECT +DECISION +DETAIL$/m)
  assert.match(ran.out, /pipeline:delays +denied +count=7 code=quota_exceeded$/m)
  const { searchParams } = new URL(server.requests[0]?.url ?? '', server.baseUrl)
  assert.equal(searchParams.get('action'), 'admission.refused')
  assert.equal(searchParams.get('decision'), 'denied')
  assert.equal(searchParams.get('limit'), '9')
  assert.ok(Math.abs(Date.parse(searchParams.get('from') ?? '') + 3_600_000 - Date.now()) < 60_000)
  const json = await runCli([...args, '-o', 'json', '--api', server.baseUrl])
  assert.deepEqual(JSON.parse(json.out), { entries })
})
