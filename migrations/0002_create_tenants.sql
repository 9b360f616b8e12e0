create table weir.tenants (
  tenant_id uuid not null,
  name text not null,
  suspended boolean not null default false,
  submit_rate_per_second integer not null default 5000,
  submit_burst integer not null default 20000,
  max_queued_jobs integer not null default 100000,
  max_in_flight_jobs integer not null default 10000,
  max_payload_bytes integer not null default 1048576,
  max_stored_bytes bigint not null default 10737418240,
  max_pipelines integer not null default 100,
  weight integer not null default 1,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint tenants_pkey primary key (tenant_id),
  -- Installation-wide on purpose: only operators name tenants.
  constraint tenants_name_key unique (name),
  constraint tenants_name_check check (length(name) between 1 and 100),
  constraint tenants_quotas_check check (
    submit_rate_per_second between 1 and 1000000
    and submit_burst between 1 and 10000000
    and max_queued_jobs >= 0
    and max_in_flight_jobs >= 0
    and max_payload_bytes >= 0
    and max_stored_bytes >= 0
    and max_pipelines >= 0
    and weight between 1 and 1000
  )
);
alter table weir.tenants enable row level security;
alter table weir.tenants force row level security;
create policy tenants_tenant on weir.tenants as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy tenants_base on weir.tenants to weir_control using (true) with check (true);
create policy tenants_definer on weir.tenants for select to weir_definer using (true);
create policy tenants_dispatcher on weir.tenants for select to weir_dispatcher using (true);
create policy tenants_watchdog on weir.tenants for select to weir_watchdog using (true);
grant select, insert on weir.tenants to weir_control;
grant update (
  suspended, submit_rate_per_second, submit_burst, max_queued_jobs, max_in_flight_jobs,
  max_payload_bytes, max_stored_bytes, max_pipelines, weight, name, deleted_at
) on weir.tenants to weir_control;
grant select on weir.tenants to weir_definer;
grant select (tenant_id, suspended, max_in_flight_jobs, weight, deleted_at)
  on weir.tenants to weir_dispatcher, weir_watchdog;

-- One row per tenant, changed with every admission, claim and fold. Whoever touches a tenant's
-- queue or in-flight rows holds this row first: the order that rules out deadlocks, and what makes
-- the order of admission within a tenant exact.
create table weir.tenant_usage (
  tenant_id uuid not null,
  -- Theoretical arrival time of GCRA.
  tat timestamptz not null default '-infinity',
  queued integer not null default 0,
  in_flight integer not null default 0,
  stored_bytes bigint not null default 0,
  virtual_finish double precision not null default 0,
  constraint tenant_usage_pkey primary key (tenant_id),
  constraint tenant_usage_tenant_id_fkey foreign key (tenant_id) references weir.tenants (tenant_id),
  constraint tenant_usage_gauges_check check (queued >= 0 and in_flight >= 0 and stored_bytes >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);
alter table weir.tenant_usage enable row level security;
alter table weir.tenant_usage force row level security;
create policy tenant_usage_tenant on weir.tenant_usage as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy tenant_usage_base on weir.tenant_usage to weir_control, weir_definer
  using (true) with check (true);
create policy tenant_usage_dispatcher_read on weir.tenant_usage for select to weir_dispatcher using (true);
create policy tenant_usage_dispatcher on weir.tenant_usage for update to weir_dispatcher using (true);
create policy tenant_usage_ledger_read on weir.tenant_usage for select to weir_ledger using (true);
create policy tenant_usage_ledger on weir.tenant_usage for update to weir_ledger using (true);
create policy tenant_usage_watchdog on weir.tenant_usage for select to weir_watchdog using (true);
-- Control may open a row of zeros and read it; only the admission function changes it.
grant select, insert (tenant_id) on weir.tenant_usage to weir_control;
grant select, update (tat, queued, stored_bytes, virtual_finish) on weir.tenant_usage to weir_definer;
grant select, update (queued, in_flight) on weir.tenant_usage to weir_dispatcher;
grant select, update (in_flight, stored_bytes) on weir.tenant_usage to weir_ledger;
grant select on weir.tenant_usage to weir_watchdog;

-- The check of a function's body reads as the owner, whom forced row security stops.
set local row_security = on;
-- The one cross-tenant list of control: what an operator sees.
create function app.list_tenants(after uuid, row_limit integer) returns setof weir.tenants
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select * from weir.tenants
  where (after is null or tenant_id < after) and deleted_at is null
  order by tenant_id desc
  limit row_limit
$$;
revoke all on function app.list_tenants(uuid, integer) from public;
grant execute on function app.list_tenants(uuid, integer) to weir_control;
alter function app.list_tenants(uuid, integer) owner to weir_definer;
