create table weir.pipelines (
  tenant_id uuid not null,
  name text not null,
  current_version integer not null,
  paused boolean not null default false,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint pipelines_pkey primary key (tenant_id, name),
  constraint pipelines_tenant_id_fkey foreign key (tenant_id) references weir.tenants (tenant_id),
  constraint pipelines_name_check check (length(name) between 1 and 63)
);
alter table weir.pipelines enable row level security;
alter table weir.pipelines force row level security;
create policy pipelines_tenant on weir.pipelines as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy pipelines_base on weir.pipelines to weir_control using (true) with check (true);
create policy pipelines_dispatcher on weir.pipelines for select to weir_dispatcher using (true);
grant select, insert, update (current_version, paused, deleted_at) on weir.pipelines to weir_control;
grant select (tenant_id, name, paused, deleted_at) on weir.pipelines to weir_dispatcher;

-- A published version never changes: no role may update a row here.
create table weir.pipeline_versions (
  tenant_id uuid not null,
  name text not null,
  version integer not null,
  plan_id text not null,
  document_hash text not null,
  document text not null,
  effective text not null,
  plan text not null,
  created_by text not null,
  created_at timestamptz not null default now(),
  constraint pipeline_versions_pkey primary key (tenant_id, name, version),
  constraint pipeline_versions_plan_id_key unique (tenant_id, plan_id),
  constraint pipeline_versions_name_fkey foreign key (tenant_id, name)
    references weir.pipelines (tenant_id, name),
  constraint pipeline_versions_version_check check (version > 0)
);
-- Dispatcher and ledger find a plan by its id alone.
create index pipeline_versions_plan_id_idx on weir.pipeline_versions (plan_id);
alter table weir.pipeline_versions enable row level security;
alter table weir.pipeline_versions force row level security;
create policy pipeline_versions_tenant on weir.pipeline_versions as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy pipeline_versions_base on weir.pipeline_versions to weir_control
  using (true) with check (true);
create policy pipeline_versions_dispatcher on weir.pipeline_versions for select to weir_dispatcher
  using (true);
create policy pipeline_versions_ledger on weir.pipeline_versions for select to weir_ledger using (true);
grant select, insert on weir.pipeline_versions to weir_control;
grant select (tenant_id, name, version, plan_id, plan)
  on weir.pipeline_versions to weir_dispatcher, weir_ledger;
