-- Old jobs go with their logs and payloads, and their bytes are given back to the tenant. One
-- tenant per call: the function takes on that tenant itself, so row security binds it like control.
create policy payloads_definer on weir.payloads to weir_definer using (true) with check (true);
alter policy payloads_tenant on weir.payloads to weir_control, weir_definer;
grant select, delete on weir.payloads to weir_definer;
grant delete on weir.job_log to weir_definer;
grant delete on weir.jobs to weir_definer;

-- Ended jobs with an id below `before_id` that finished before `before`, oldest first. Answers how
-- many went. A job that is open is never taken, however old.
create function app.purge_jobs(
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
  gone as (
    delete from weir.jobs j where j.tenant_id = tenant and j.id = any (victims)
    returning j.input_bytes as size
  )
  select coalesce(sum(a.size), 0) into bytes
  from (select size from log union all select size from kept union all select size from gone) a;
  update weir.tenant_usage v set stored_bytes = greatest(0, v.stored_bytes - bytes)
  where v.tenant_id = tenant;
  return cardinality(victims);
end
$$;
revoke all on function app.purge_jobs(uuid, uuid, timestamptz, integer) from public;
grant execute on function app.purge_jobs(uuid, uuid, timestamptz, integer) to weir_dispatcher;
alter function app.purge_jobs(uuid, uuid, timestamptz, integer) owner to weir_definer;
