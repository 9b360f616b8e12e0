import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  deriveTicketKey,
  formatTicketKey,
  parseTicketKey,
  tagFor,
  verifyTicket,
  writeTicket,
} from './ticket.ts'

const master = Buffer.alloc(32, 3)
const claims = { tenant: 't', job: 'j', run: 1, plan: 'p', notAfter: 1_000 }
const split = deriveTicketKey(master, 'split@1', 'k1')
const other = deriveTicketKey(master, 'locate@1', 'k1')

test('a holder verifies its own tag and nobody else can', () => {
  const ticket = writeTicket([split, other], claims)
  assert.ok(verifyTicket(ticket, [split], claims))
  assert.ok(verifyTicket(ticket, [other], claims))
  assert.equal(verifyTicket(ticket, [deriveTicketKey(master, 'split@1', 'k2')], claims), false)
  assert.equal(
    verifyTicket(ticket, [deriveTicketKey(Buffer.alloc(32, 4), 'split@1', 'k1')], claims),
    false,
  )
})

test('a ticket is good for just its tenant, job, run, plan and end', () => {
  const ticket = writeTicket([split], claims)
  for (const change of [
    { tenant: 'u' },
    { job: 'k' },
    { run: 2 },
    { plan: 'q' },
    { notAfter: 1_001 },
  ]) {
    assert.equal(verifyTicket(ticket, [split], { ...claims, ...change }), false)
  }
  assert.equal(verifyTicket('', [split], claims), false)
  assert.equal(verifyTicket(`2${ticket.slice(1)}`, [split], claims), false)
})

test('during a rotation an instance with the old key and one with the new key both verify', () => {
  const next = deriveTicketKey(master, 'split@1', 'k2')
  const ticket = writeTicket([split, next, other], claims)
  assert.ok(verifyTicket(ticket, [split], claims))
  assert.ok(verifyTicket(ticket, [next], claims))
})

test('a key survives its text form', () => {
  assert.deepEqual(parseTicketKey(formatTicketKey(split)), split)
  assert.equal(parseTicketKey('weirkey_split@1_k1_short'), undefined)
})

test('a tag is the HMAC-SHA-256 of the claims, whatever was asked before', () => {
  const job = fc.oneof(
    fc.constantFrom('j', 'k', ''),
    fc.string({ unit: 'grapheme', maxLength: 99 }),
  )
  const asked = fc.array(fc.record({ job, key: fc.constantFrom(split, other) }), { maxLength: 20 })
  fc.assert(
    fc.property(asked, (all) => {
      for (const { job, key } of all) {
        const text = `t\n${job}\n1\np\n1000`
        const expected = createHmac('sha256', key.secret).update(text).digest('base64url')
        assert.equal(tagFor(key, { ...claims, job }), expected.slice(0, 16))
      }
    }),
  )
})
