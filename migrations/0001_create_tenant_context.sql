-- Two schemas: weir holds the tables, app the functions that a service role may call.
create schema weir;
create schema app;

grant usage on schema weir to weir_definer, weir_control, weir_dispatcher, weir_ledger, weir_watchdog;
grant usage on schema app to weir_definer, weir_control, weir_dispatcher, weir_ledger, weir_watchdog;
-- An owner of functions must be able to create them; nobody can log in as weir_definer.
grant create on schema app to weir_definer;

-- Set-once latch: the tenant of a transaction cannot be changed after it was set, so an injected
-- expression cannot become another tenant. set_config itself is revoked from PUBLIC (the runner).
create function app.set_tenant(tenant uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tenant is null then
    raise exception 'no tenant given' using errcode = '42501';
  end if;
  if nullif(current_setting('app.tenant_id', true), '') is not null then
    raise exception 'the tenant of this transaction is already set' using errcode = '42501';
  end if;
  perform set_config('app.tenant_id', tenant::text, true);
end
$$;
revoke all on function app.set_tenant(uuid) from public;
grant execute on function app.set_tenant(uuid) to weir_control;
alter function app.set_tenant(uuid) owner to weir_definer;
