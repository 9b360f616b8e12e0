import type { Tx } from './statement.ts'

/** A right that one holder has at a time. `fencing` rises whenever it changes hands. */
export type Lease = { readonly name: string; readonly holder: string; readonly fencing: number }

/**
 * Takes a lease that is free, expired, or our own; undefined where another holds it. The holder
 * counts the term from before this call, on its monotonic clock.
 */
export async function takeLease(
  tx: Tx,
  name: string,
  holder: string,
  termMs: number,
): Promise<Lease | undefined> {
  const rows = await tx.query<{ fencing: number }>({
    name: 'take-lease',
    text: `insert into leases as l (name, holder, fencing, expires_at)
      values ($1, $2, 1, clock_timestamp() + $3::integer * interval '1 millisecond')
      on conflict (name) do update
        set holder = excluded.holder, fencing = l.fencing + 1, expires_at = excluded.expires_at
        where l.expires_at <= clock_timestamp() or l.holder = excluded.holder
      returning fencing`,
    values: [name, holder, termMs],
  })
  return rows[0] && { name, holder, fencing: rows[0].fencing }
}

/** Extends a lease; false where it has passed to somebody else: stop at once. */
export async function renewLease(tx: Tx, lease: Lease, termMs: number): Promise<boolean> {
  const changed = await tx.execute({
    name: 'renew-lease',
    text: `update leases set expires_at = clock_timestamp() + $3::integer * interval '1 millisecond'
      where name = $1 and fencing = $2`,
    values: [lease.name, lease.fencing, termMs],
  })
  return changed === 1
}

/** Gives a lease back, so that the next holder need not wait for its end. */
export async function releaseLease(tx: Tx, lease: Lease): Promise<void> {
  await tx.execute({
    name: 'release-lease',
    text: `update leases set expires_at = '-infinity' where name = $1 and fencing = $2`,
    values: [lease.name, lease.fencing],
  })
}
