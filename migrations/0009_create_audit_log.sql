-- Who did what: control may only add and read. No key to tenants: an entry outlives its tenant, and
-- operators' acts on the installation stand under an id of their own.
create table weir.audit_log (
  tenant_id uuid not null,
  id uuid not null,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  action text not null,
  object text not null,
  decision text not null,
  request_id text not null,
  reason text,
  detail text,
  constraint audit_log_pkey primary key (tenant_id, id),
  constraint audit_log_decision_check check (decision in ('allowed', 'denied'))
);
alter table weir.audit_log enable row level security;
alter table weir.audit_log force row level security;
create policy audit_log_tenant on weir.audit_log as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy audit_log_base on weir.audit_log to weir_control using (true) with check (true);
grant select, insert on weir.audit_log to weir_control;
