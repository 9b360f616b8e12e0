-- Who asked for the end of a run in flight, why and when: the ledger writes it into the job's log. It
-- stands here from the moment the request is answered, so that no crash loses it.
alter table weir.in_flight
  add column cancel_reason text,
  add column cancel_actor text,
  add column cancel_requested_at timestamptz;
grant update (cancel_reason, cancel_actor, cancel_requested_at) on weir.in_flight to weir_control;
-- The ledger looks for them twice a second: they are few among all that run.
create index in_flight_cancelling_idx on weir.in_flight (tenant_id, job_id) where cancelling;

-- Holds the tenant's usage row until the transaction ends. Every admission, claim and fold of the
-- tenant holds it too: what a statement after this one reads of its queue and of what is in flight
-- stays true until the commit.
create function app.lock_usage() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from weir.tenant_usage v
  where v.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
  for update;
end
$$;
revoke all on function app.lock_usage() from public;
grant execute on function app.lock_usage() to weir_control;
alter function app.lock_usage() owner to weir_definer;

-- Raises WR002 where a run would end whose log does not tell of the cancel that was asked for: a
-- cancel that was answered with 202 is never overtaken by an end that knew nothing of it.
create function app.count_ends(runs bigint, is_cancel_missed boolean) returns integer
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if is_cancel_missed then
    raise exception 'a run ends without the cancel that was asked for' using errcode = 'WR002';
  end if;
  return runs;
end
$$;
revoke all on function app.count_ends(bigint, boolean) from public;
grant execute on function app.count_ends(bigint, boolean) to weir_ledger;
