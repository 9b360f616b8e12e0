create table weir.leases (
  name text not null,
  holder text not null,
  -- Rises with each change of holder: what an old holder still does can be told apart.
  fencing bigint not null,
  expires_at timestamptz not null,
  constraint leases_pkey primary key (name)
) with (fillfactor = 10);
grant select, insert, update (holder, fencing, expires_at)
  on weir.leases to weir_control, weir_dispatcher, weir_ledger, weir_watchdog;

-- Records for Kafka, written in the transaction of what they announce, relayed by the dispatcher.
-- Changes of one key lock that key's row first, so ids rise in the order of their commits per key.
create table weir.outbox (
  id bigint generated always as identity,
  topic text not null,
  key text not null,
  -- Null is a tombstone.
  value text,
  headers text not null default '{}',
  created_at timestamptz not null default now(),
  constraint outbox_pkey primary key (id)
);
alter table weir.outbox enable row level security;
alter table weir.outbox force row level security;
-- No tenant column; the policy makes a write outside a tenant's transaction fail, so that a record
-- can never be committed alone where the transaction around it was lost.
create policy outbox_transaction on weir.outbox as restrictive to weir_control
  using (false)
  with check ((select nullif(current_setting('app.tenant_id', true), '')) is not null);
create policy outbox_base on weir.outbox for insert to weir_control with check (true);
create policy outbox_relay on weir.outbox to weir_dispatcher using (true);
grant insert (topic, key, value, headers) on weir.outbox to weir_control;
grant select, delete on weir.outbox to weir_dispatcher;
