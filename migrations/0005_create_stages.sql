-- Installation-wide: stages are shared by all tenants, so these tables have no tenant and no RLS.
create table weir.stages (
  ref text not null,
  kind text not null,
  partitions integer not null,
  lanes text[] not null,
  in_flight_max integer not null,
  auto_activate boolean not null default true,
  state text not null default 'created',
  -- Compared and set by every change; travels with the desired state, so old ones are recognised.
  row_version integer not null default 1,
  key_ids text[] not null default '{}',
  spec text not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint stages_pkey primary key (ref),
  constraint stages_state_check check (
    state in ('created', 'launched', 'active', 'deactivated', 'terminating', 'terminated')
  ),
  constraint stages_sizes_check check (partitions between 1 and 10000 and in_flight_max > 0)
);
grant select, insert on weir.stages to weir_control;
grant update (
  kind, partitions, lanes, in_flight_max, auto_activate, state, row_version, key_ids, spec, updated_at
) on weir.stages to weir_control;
grant select on weir.stages to weir_dispatcher, weir_ledger, weir_watchdog;

create table weir.contracts (
  stage_ref text not null,
  version text not null,
  hash text not null,
  input text not null,
  output text not null,
  accepted boolean not null,
  reason text,
  created_at timestamptz not null default now(),
  constraint contracts_pkey primary key (stage_ref, version),
  constraint contracts_stage_ref_fkey foreign key (stage_ref) references weir.stages (ref)
);
grant select, insert on weir.contracts to weir_control;
grant update (hash, input, output, accepted, reason) on weir.contracts to weir_control;
grant select on weir.contracts to weir_dispatcher, weir_ledger, weir_watchdog;
