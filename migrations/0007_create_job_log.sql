-- Chunks of a job's event log; numbered without a gap by the ledger alone.
create table weir.job_log (
  tenant_id uuid not null,
  job_id uuid not null,
  from_seq integer not null,
  to_seq integer not null,
  run integer not null,
  -- JSON array of events (contracts/job-events.ts).
  events text not null,
  constraint job_log_pkey primary key (tenant_id, job_id, from_seq),
  constraint job_log_seq_check check (from_seq > 0 and to_seq >= from_seq)
);
alter table weir.job_log alter column events set storage external;
alter table weir.job_log enable row level security;
alter table weir.job_log force row level security;
create policy job_log_tenant on weir.job_log as restrictive to weir_control, weir_definer
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy job_log_base on weir.job_log to weir_control, weir_definer using (true) with check (true);
create policy job_log_ledger_read on weir.job_log for select to weir_ledger using (true);
create policy job_log_ledger on weir.job_log for insert to weir_ledger with check (true);
create policy job_log_dispatcher on weir.job_log for select to weir_dispatcher using (true);
grant select on weir.job_log to weir_control;
grant select, insert on weir.job_log to weir_definer, weir_ledger;
grant select (tenant_id, job_id, from_seq, run) on weir.job_log to weir_dispatcher;

-- Outputs too large for the log.
create table weir.payloads (
  tenant_id uuid not null,
  job_id uuid not null,
  run integer not null,
  step text not null,
  item text not null,
  digest text not null,
  body text not null,
  constraint payloads_pkey primary key (tenant_id, job_id, run, step, item)
);
alter table weir.payloads alter column body set storage external;
alter table weir.payloads enable row level security;
alter table weir.payloads force row level security;
create policy payloads_tenant on weir.payloads as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy payloads_base on weir.payloads to weir_control using (true) with check (true);
create policy payloads_ledger_read on weir.payloads for select to weir_ledger using (true);
create policy payloads_ledger on weir.payloads for insert to weir_ledger with check (true);
grant select on weir.payloads to weir_control;
grant select, insert on weir.payloads to weir_ledger;

-- Next offset of each partition of the events topic: compared and set with every fold, which is
-- what makes the ledger count each event once.
create table weir.ledger_offsets (
  partition integer not null,
  next_offset bigint not null,
  owner text not null,
  constraint ledger_offsets_pkey primary key (partition),
  constraint ledger_offsets_next_offset_check check (next_offset >= 0)
) with (fillfactor = 10);
grant select, insert, update (next_offset, owner) on weir.ledger_offsets to weir_ledger;
grant select on weir.ledger_offsets to weir_dispatcher, weir_watchdog;

-- Raises WR001 where the partition stands elsewhere or belongs to another owner: in a pipelined
-- transaction everything behind it then fails and the commit is a rollback.
create function app.advance_offset(part integer, from_offset bigint, to_offset bigint, by text)
returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update weir.ledger_offsets set next_offset = to_offset
  where partition = part and next_offset = from_offset and owner = by;
  if not found then
    raise exception 'partition % is not at offset % for this owner', part, from_offset
      using errcode = 'WR001';
  end if;
end
$$;
revoke all on function app.advance_offset(integer, bigint, bigint, text) from public;
grant execute on function app.advance_offset(integer, bigint, bigint, text) to weir_ledger;
