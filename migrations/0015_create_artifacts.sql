-- What handlers have made beside their outputs, kept with the run; that they were made stands in the
-- log. Found by digest: a task that ran twice and made the same keeps it once.
create table weir.artifacts (
  tenant_id uuid not null,
  job_id uuid not null,
  run integer not null,
  step text not null,
  item text not null,
  digest text not null,
  body bytea not null,
  constraint artifacts_pkey primary key (tenant_id, job_id, run, step, item, digest)
);
alter table weir.artifacts alter column body set storage external;
alter table weir.artifacts enable row level security;
alter table weir.artifacts force row level security;
create policy artifacts_tenant on weir.artifacts as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy artifacts_base on weir.artifacts to weir_control using (true) with check (true);
create policy artifacts_definer on weir.artifacts to weir_definer using (true) with check (true);
-- `on conflict` looks for the row that is there.
create policy artifacts_ledger_read on weir.artifacts for select to weir_ledger using (true);
create policy artifacts_ledger on weir.artifacts for insert to weir_ledger with check (true);
grant select on weir.artifacts to weir_control;
grant select (tenant_id, job_id, run, step, item, digest), insert on weir.artifacts to weir_ledger;
grant select, delete on weir.artifacts to weir_definer;

-- As before, with the artifacts. Only its owner may replace a function.
set local role weir_definer;
create or replace function app.purge_jobs(
  tenant uuid, before_id uuid, before timestamptz, row_limit integer
)
returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  victims uuid[];
  bytes bigint;
begin
  perform app.set_tenant(tenant);
  perform from weir.tenant_usage v where v.tenant_id = tenant for update;
  victims := array(
    select j.id from weir.jobs j
    where j.tenant_id = tenant and j.id < before_id and j.status <> 'open' and j.finished_at < before
    order by j.id limit row_limit
  );
  if cardinality(victims) = 0 then
    return 0;
  end if;
  with log as (
    delete from weir.job_log l where l.tenant_id = tenant and l.job_id = any (victims)
    returning octet_length(l.events) as size
  ),
  kept as (
    delete from weir.payloads p where p.tenant_id = tenant and p.job_id = any (victims)
    returning octet_length(p.body) as size
  ),
  made as (
    delete from weir.artifacts a where a.tenant_id = tenant and a.job_id = any (victims)
    returning octet_length(a.body) as size
  ),
  gone as (
    delete from weir.jobs j where j.tenant_id = tenant and j.id = any (victims)
    returning j.input_bytes as size
  )
  select coalesce(sum(a.size), 0) into bytes
  from (
    select size from log union all select size from kept union all select size from made
    union all select size from gone
  ) a;
  update weir.tenant_usage v set stored_bytes = greatest(0, v.stored_bytes - bytes)
  where v.tenant_id = tenant;
  return cardinality(victims);
end
$$;
set local role weir_owner;
