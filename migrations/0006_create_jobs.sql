-- Written at submit and once more when a run ends: rows per job are the limit of throughput.
-- No foreign keys on the tables of the hot path: each would cost a lookup and a lock per row, and
-- all rows of a job are written by the same few statements.
create table weir.jobs (
  tenant_id uuid not null,
  id uuid not null,
  pipeline text not null,
  version integer not null,
  plan_id text not null,
  run integer not null default 1,
  -- 'open' until the run ends; queued and running follow from job_queue and in_flight.
  status text not null default 'open',
  priority smallint not null,
  ordering_key text,
  correlation_id text not null,
  traceparent text,
  -- 'key=value'
  tags text[] not null default '{}',
  idempotency_key text,
  input text not null,
  input_bytes integer not null,
  deadline_ms integer,
  submitted_at timestamptz not null,
  dispatched_at timestamptz,
  not_after timestamptz,
  finished_at timestamptz,
  last_seq integer not null default 0,
  error text,
  failed_step text,
  constraint jobs_pkey primary key (tenant_id, id),
  constraint jobs_status_check check (
    status in ('open', 'completed', 'completed_with_failures', 'failed', 'cancelled', 'dropped')
  ),
  constraint jobs_priority_check check (priority between 0 and 255)
);
-- Compressing payloads would cost more of two cores than the whole path of a job.
alter table weir.jobs alter column input set storage external;
create index jobs_pipeline_idx on weir.jobs (tenant_id, pipeline, id);
create index jobs_correlation_idx on weir.jobs (tenant_id, correlation_id);
-- Failures are what people look for, and rare. It keeps the update at the end of a run from staying
-- within its page; measured, that costs 2 of 110 microseconds per job.
create index jobs_unsuccessful_idx on weir.jobs (tenant_id, id)
  where status in ('completed_with_failures', 'failed', 'cancelled', 'dropped');
alter table weir.jobs enable row level security;
alter table weir.jobs force row level security;
create policy jobs_tenant on weir.jobs as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy jobs_base on weir.jobs to weir_control, weir_definer using (true) with check (true);
create policy jobs_dispatcher on weir.jobs for select to weir_dispatcher using (true);
create policy jobs_ledger_read on weir.jobs for select to weir_ledger using (true);
create policy jobs_ledger on weir.jobs for update to weir_ledger using (true);
grant select on weir.jobs to weir_control;
grant select, insert, update (status, finished_at, last_seq, error) on weir.jobs to weir_definer;
grant select (
  tenant_id, id, pipeline, version, plan_id, run, status, priority, ordering_key, correlation_id,
  traceparent, input, deadline_ms, submitted_at
) on weir.jobs to weir_dispatcher;
grant select (
  tenant_id, id, pipeline, version, plan_id, run, status, correlation_id, traceparent, submitted_at,
  last_seq
) on weir.jobs to weir_ledger;
grant update (status, dispatched_at, not_after, finished_at, last_seq, error, failed_step)
  on weir.jobs to weir_ledger;

-- Idempotency keys of submits. The key leads, so that jobs can be found by it.
create table weir.submit_keys (
  tenant_id uuid not null,
  key text not null,
  pipeline text not null,
  job_id uuid not null,
  body_hash bytea not null,
  created_at timestamptz not null,
  constraint submit_keys_pkey primary key (tenant_id, key, pipeline)
);
-- For the sweep of expired keys, over all tenants.
create index submit_keys_created_at_idx on weir.submit_keys (created_at);
alter table weir.submit_keys enable row level security;
alter table weir.submit_keys force row level security;
create policy submit_keys_tenant on weir.submit_keys as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy submit_keys_base on weir.submit_keys to weir_control, weir_definer
  using (true) with check (true);
create policy submit_keys_dispatcher_read on weir.submit_keys for select to weir_dispatcher using (true);
create policy submit_keys_dispatcher on weir.submit_keys for delete to weir_dispatcher using (true);
grant select on weir.submit_keys to weir_control;
grant select, insert, update (job_id, body_hash, created_at) on weir.submit_keys to weir_definer;
-- The dispatcher sweeps out keys that have expired.
grant select (tenant_id, key, pipeline, created_at), delete on weir.submit_keys to weir_dispatcher;

-- The backlog, in the order in which it will be dispatched; a row only while its job waits.
create table weir.job_queue (
  tenant_id uuid not null,
  job_id uuid not null,
  run integer not null,
  plan_id text not null,
  pipeline text not null,
  band smallint not null,
  virtual_finish double precision not null,
  ordering_key text,
  -- Waits for an earlier job of the same ordering key; cleared when that one ends. Of one key at
  -- most one job is either in flight or queued and not held.
  held boolean not null default false,
  weight integer not null default 1,
  queued_at timestamptz not null,
  constraint job_queue_pkey primary key (tenant_id, job_id),
  constraint job_queue_band_check check (band between 0 and 3)
) with (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
create index job_queue_order_idx on weir.job_queue (plan_id, band, virtual_finish, job_id)
  where not held;
create index job_queue_ordering_idx
  on weir.job_queue (tenant_id, pipeline, ordering_key, virtual_finish, job_id)
  where ordering_key is not null;
alter table weir.job_queue enable row level security;
alter table weir.job_queue force row level security;
create policy job_queue_tenant on weir.job_queue as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy job_queue_base on weir.job_queue to weir_control, weir_definer
  using (true) with check (true);
create policy job_queue_dispatcher on weir.job_queue to weir_dispatcher using (true) with check (true);
create policy job_queue_ledger_read on weir.job_queue for select to weir_ledger using (true);
create policy job_queue_ledger on weir.job_queue for update to weir_ledger using (true);
create policy job_queue_watchdog on weir.job_queue for select to weir_watchdog using (true);
grant select on weir.job_queue to weir_control, weir_watchdog;
grant select, insert, delete, update (held) on weir.job_queue to weir_definer;
grant select, delete, update (held) on weir.job_queue to weir_dispatcher;
grant select, update (held) on weir.job_queue to weir_ledger;

-- What has been claimed for dispatch and has not ended; rebuilds every counter after a takeover.
create table weir.in_flight (
  tenant_id uuid not null,
  job_id uuid not null,
  run integer not null,
  plan_id text not null,
  pipeline text not null,
  ordering_key text,
  weight integer not null,
  claimed_at timestamptz not null,
  not_after timestamptz not null,
  cancelling boolean not null default false,
  ended_steps text[] not null default '{}',
  constraint in_flight_pkey primary key (tenant_id, job_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
create unique index in_flight_ordering_key on weir.in_flight (tenant_id, pipeline, ordering_key)
  where ordering_key is not null;
alter table weir.in_flight enable row level security;
alter table weir.in_flight force row level security;
create policy in_flight_tenant on weir.in_flight as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy in_flight_base on weir.in_flight to weir_control, weir_definer
  using (true) with check (true);
create policy in_flight_dispatcher_read on weir.in_flight for select to weir_dispatcher using (true);
create policy in_flight_dispatcher on weir.in_flight for insert to weir_dispatcher with check (true);
create policy in_flight_ledger on weir.in_flight to weir_ledger using (true) with check (true);
create policy in_flight_watchdog on weir.in_flight for select to weir_watchdog using (true);
grant select, update (cancelling) on weir.in_flight to weir_control;
grant select on weir.in_flight to weir_definer, weir_watchdog;
grant select, insert on weir.in_flight to weir_dispatcher;
grant select, delete, update (ended_steps) on weir.in_flight to weir_ledger;

-- V of start-time fair queueing: the virtual finish of what was dispatched last, in one row.
create table weir.dispatch_clock (
  one boolean not null default true,
  virtual_time double precision not null default 0,
  constraint dispatch_clock_pkey primary key (one),
  constraint dispatch_clock_one_check check (one)
) with (fillfactor = 10);
insert into weir.dispatch_clock default values;
grant select on weir.dispatch_clock to weir_definer, weir_watchdog;
grant select, update (virtual_time) on weir.dispatch_clock to weir_dispatcher;
