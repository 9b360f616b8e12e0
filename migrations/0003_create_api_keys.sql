create table weir.api_keys (
  tenant_id uuid not null,
  id uuid not null,
  key_id text not null,
  secret_hash bytea not null,
  role text not null,
  scopes text[] not null default '{}',
  name text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint api_keys_pkey primary key (tenant_id, id),
  -- Installation-wide on purpose: a key id is found before its tenant is known.
  constraint api_keys_key_id_key unique (key_id),
  constraint api_keys_tenant_id_fkey foreign key (tenant_id) references weir.tenants (tenant_id),
  constraint api_keys_role_check check (role in ('admin', 'developer', 'submitter', 'viewer'))
);
alter table weir.api_keys enable row level security;
alter table weir.api_keys force row level security;
create policy api_keys_tenant on weir.api_keys as restrictive to weir_control
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
  with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy api_keys_base on weir.api_keys to weir_control using (true) with check (true);
create policy api_keys_definer on weir.api_keys for select to weir_definer using (true);
grant select, insert, update (revoked_at) on weir.api_keys to weir_control;
grant select on weir.api_keys to weir_definer;

-- The check of a function's body reads as the owner, whom forced row security stops.
set local row_security = on;
-- The door before the tenant is known: one key by its id, nothing else.
create function app.find_api_key(wanted text)
returns table (
  tenant_id uuid, id uuid, secret_hash bytea, role text, scopes text[], name text,
  expires_at timestamptz, revoked_at timestamptz, tenant_name text, suspended boolean
)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.tenant_id, k.id, k.secret_hash, k.role, k.scopes, k.name, k.expires_at, k.revoked_at,
         t.name, t.suspended
  from weir.api_keys k
  join weir.tenants t on t.tenant_id = k.tenant_id and t.deleted_at is null
  where k.key_id = wanted
$$;
revoke all on function app.find_api_key(text) from public;
grant execute on function app.find_api_key(text) to weir_control;
alter function app.find_api_key(text) owner to weir_definer;
