-- The one door to jobs and job_queue: control has no right to insert there itself, so no job can be
-- made past its tenant's quotas, and no quota can be reset.
--
-- Jobs come as parallel arrays in order of submission. Locks: the tenant's usage row, until commit;
-- what is refused for certain takes no lock. Everything read after the lock is as committed by the
-- admission before (each statement has a snapshot of its own), so keys, gauges and the order of
-- ordering keys are exact.
--
-- Answer, one row: how many of the jobs that are no repeats were admitted, always the first ones;
-- the quota that stopped the next one; how long until the rate allows it; and the repeats of
-- idempotency keys with the job each belongs to and whether the bodies were equal.
create function app.admit_jobs(
  all_or_none boolean,
  ids uuid[], pipelines text[], versions integer[], plan_ids text[],
  priorities smallint[], bands smallint[], weights integer[],
  ordering_keys text[], correlation_ids text[], traceparents text[], tag_lists text[],
  inputs text[], deadlines integer[],
  idempotency_keys text[], body_hashes bytea[], key_ttl interval
)
returns table (
  admitted integer, quota text, retry_after_ms integer,
  repeat_index integer[], repeat_job uuid[], repeat_same boolean[]
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  total constant integer := coalesce(cardinality(ids), 0);
  has_keys constant boolean := cardinality(array_remove(idempotency_keys, null)) > 0;
  has_ordering constant boolean := cardinality(array_remove(ordering_keys, null)) > 0;
  q record;
  u record;
  stamp timestamptz;
  base timestamptz;
  emission interval;
  room integer;
  fits integer;
  bytes bigint := 0;
  size integer;
  counted integer;
  fresh integer[];
  take integer[];
  clock double precision;
begin
  admitted := 0;
  repeat_index := '{}';
  repeat_job := '{}';
  repeat_same := '{}';
  select t.* into q from weir.tenants t where t.tenant_id = tenant and t.deleted_at is null;
  if not found then
    raise exception 'no tenant is set' using errcode = '42501';
  end if;
  emission := interval '1 second' / q.submit_rate_per_second;

  -- A cheap look without a lock: refused submits, which may come in storms, queue up nowhere.
  if not has_keys then
    select v.* into u from weir.tenant_usage v where v.tenant_id = tenant;
    stamp := clock_timestamp();
    base := greatest(u.tat, stamp);
    if base + emission > stamp + q.submit_burst * emission then
      quota := 'submitRatePerSecond';
      retry_after_ms := ceil(extract(epoch from
        base + emission - stamp - q.submit_burst * emission) * 1000)::integer;
      return next;
      return;
    end if;
    if u.queued >= q.max_queued_jobs then
      quota := 'maxQueuedJobs';
      return next;
      return;
    end if;
  end if;

  select v.* into u from weir.tenant_usage v where v.tenant_id = tenant for update;
  stamp := clock_timestamp();

  fresh := array(select generate_series(1, total));
  if has_keys then
    -- Equal keys within the call: the first one counts, the others repeat it.
    with submitted as (
      select s.i::integer as i, s.key, s.pipeline, s.body_hash, s.id,
             row_number() over (partition by s.key, s.pipeline order by s.i) as nth
      from unnest(idempotency_keys, pipelines, body_hashes, ids) with ordinality
        as s(key, pipeline, body_hash, id, i)
      where s.key is not null
    ),
    known as (
      select s.i, k.job_id, k.body_hash = s.body_hash as same, true as committed
      from submitted s
      join weir.submit_keys k
        on k.tenant_id = tenant and k.key = s.key and k.pipeline = s.pipeline
      where k.created_at > stamp - key_ttl
      union all
      select s.i, f.id, f.body_hash = s.body_hash, false
      from submitted s
      join submitted f on f.key = s.key and f.pipeline = s.pipeline and f.nth = 1
      where s.nth > 1 and not exists (
        select from weir.submit_keys k
        where k.tenant_id = tenant and k.key = s.key and k.pipeline = s.pipeline
          and k.created_at > stamp - key_ttl
      )
    )
    select coalesce(array_agg(n.i order by n.i), '{}'),
           coalesce(array_agg(n.job_id order by n.i), '{}'),
           coalesce(array_agg(n.same order by n.i), '{}')
    into repeat_index, repeat_job, repeat_same
    from known n;
    if cardinality(repeat_index) > 0 then
      fresh := array(
        select g from generate_series(1, total) g
        where not exists (select from unnest(repeat_index) r(i) where r.i = g) order by g
      );
    end if;
  end if;

  base := greatest(u.tat, stamp);
  room := floor(extract(epoch from stamp + q.submit_burst * emission - base)
    / extract(epoch from emission) + 0.000001)::integer;
  fits := cardinality(fresh);
  if room < fits then
    fits := greatest(room, 0);
    quota := 'submitRatePerSecond';
  end if;
  if q.max_queued_jobs - u.queued < fits then
    fits := greatest(q.max_queued_jobs - u.queued, 0);
    quota := 'maxQueuedJobs';
  end if;
  -- The whole at once where all of it fits, job by job only where one does not.
  select coalesce(sum(octet_length(s.input)), 0), coalesce(max(octet_length(s.input)), 0)
  into bytes, size from unnest(inputs) as s(input);
  if fits = total and size <= q.max_payload_bytes and u.stored_bytes + bytes <= q.max_stored_bytes
  then
    counted := fits;
  else
    counted := 0;
    bytes := 0;
  end if;
  for n in counted + 1 .. fits loop
    size := octet_length(inputs[fresh[n]]);
    if size > q.max_payload_bytes then
      quota := 'maxPayloadBytes';
    elsif u.stored_bytes + bytes + size > q.max_stored_bytes then
      quota := 'maxStoredBytes';
    else
      bytes := bytes + size;
      continue;
    end if;
    fits := n - 1;
    exit;
  end loop;

  if quota is not null then
    if quota = 'submitRatePerSecond' then
      size := case when all_or_none then cardinality(fresh) else fits + 1 end;
      -- A batch larger than the burst will never fit: no time to wait for.
      if not all_or_none or size <= q.submit_burst then
        retry_after_ms := greatest(1, ceil(extract(epoch from
          base + size * emission - stamp - q.submit_burst * emission) * 1000))::integer;
      end if;
    end if;
    if all_or_none then
      fits := 0;
    end if;
  end if;

  if fits > 0 then
    take := fresh[1:fits];
    select greatest(c.virtual_time, u.virtual_finish) into clock from weir.dispatch_clock c;

    insert into weir.jobs (
      tenant_id, id, pipeline, version, plan_id, priority, ordering_key, correlation_id,
      traceparent, tags, idempotency_key, input, input_bytes, deadline_ms, submitted_at
    )
    select tenant, ids[t.i], pipelines[t.i], versions[t.i], plan_ids[t.i], priorities[t.i],
           ordering_keys[t.i], correlation_ids[t.i], traceparents[t.i], tag_lists[t.i]::text[],
           idempotency_keys[t.i], inputs[t.i], octet_length(inputs[t.i]), deadlines[t.i], stamp
    from unnest(take) as t(i);

    insert into weir.job_queue (
      tenant_id, job_id, run, plan_id, pipeline, band, virtual_finish, ordering_key, held, weight,
      queued_at
    )
    select tenant, ids[t.i], 1, plan_ids[t.i], pipelines[t.i], bands[t.i],
           clock + t.nth::double precision / q.weight, ordering_keys[t.i], false, weights[t.i], stamp
    from unnest(take) with ordinality as t(i, nth);

    if has_ordering then
      -- Not the first of its key: waits until the one before has ended.
      update weir.job_queue w set held = true
      from unnest(take) as t(i)
      where w.tenant_id = tenant and w.job_id = ids[t.i] and w.ordering_key is not null and (
        exists (
          select from weir.job_queue e
          where e.tenant_id = tenant and e.pipeline = w.pipeline
            and e.ordering_key = w.ordering_key and e.virtual_finish < w.virtual_finish
        )
        or exists (
          select from weir.in_flight f
          where f.tenant_id = tenant and f.pipeline = w.pipeline
            and f.ordering_key = w.ordering_key
        )
      );
    end if;

    if has_keys then
      insert into weir.submit_keys as k (tenant_id, key, pipeline, job_id, body_hash, created_at)
      select tenant, idempotency_keys[t.i], pipelines[t.i], ids[t.i], body_hashes[t.i], stamp
      from unnest(take) as t(i)
      where idempotency_keys[t.i] is not null
      on conflict (tenant_id, key, pipeline) do update
        set job_id = excluded.job_id, body_hash = excluded.body_hash,
            created_at = excluded.created_at;
    end if;

    update weir.tenant_usage v
    set tat = base + fits * emission,
        queued = v.queued + fits,
        stored_bytes = v.stored_bytes + bytes,
        virtual_finish = clock + fits::double precision / q.weight
    where v.tenant_id = tenant;
    admitted := fits;
  end if;

  -- A repeat of a job in this very call that was not admitted is no repeat.
  if cardinality(repeat_index) > 0 and quota is not null then
    select coalesce(array_agg(r.i order by r.i), '{}'),
           coalesce(array_agg(r.job order by r.i), '{}'),
           coalesce(array_agg(r.same order by r.i), '{}')
    into repeat_index, repeat_job, repeat_same
    from unnest(repeat_index, repeat_job, repeat_same) as r(i, job, same)
    where not exists (
      select from unnest(fresh[admitted + 1:]) as f(i) where ids[f.i] = r.job
    );
  end if;
  return next;
end
$$;

revoke all on function app.admit_jobs(
  boolean, uuid[], text[], integer[], text[], smallint[], smallint[], integer[], text[], text[],
  text[], text[], text[], integer[], text[], bytea[], interval
) from public;
grant execute on function app.admit_jobs(
  boolean, uuid[], text[], integer[], text[], smallint[], smallint[], integer[], text[], text[],
  text[], text[], text[], integer[], text[], bytea[], interval
) to weir_control;
alter function app.admit_jobs(
  boolean, uuid[], text[], integer[], text[], smallint[], smallint[], integer[], text[], text[],
  text[], text[], text[], integer[], text[], bytea[], interval
) owner to weir_definer;

-- The check of a function's body reads as the owner, whom forced row security stops.
set local row_security = on;
-- Frees the next job of each ordering key of which none is in flight. The caller holds the usage
-- row of each tenant, and has seen in an earlier statement what ended: an admission that held the
-- row before is seen here, one that comes after sees what was done here.
create function app.release_next(tenants uuid[], pipelines text[], keys text[]) returns void
language sql set search_path = pg_catalog, pg_temp as $$
  update weir.job_queue w set held = false
  from (
    select distinct k.tenant_id, k.pipeline, k.ordering_key
    from unnest(tenants, pipelines, keys) as k(tenant_id, pipeline, ordering_key)
  ) k
  cross join lateral (
    select c.job_id from weir.job_queue c
    where c.tenant_id = k.tenant_id and c.pipeline = k.pipeline
      and c.ordering_key = k.ordering_key
    order by c.virtual_finish, c.job_id
    limit 1
  ) head
  where w.tenant_id = k.tenant_id and w.job_id = head.job_id and w.held
    and not exists (
      select from weir.in_flight f
      where f.tenant_id = k.tenant_id and f.pipeline = k.pipeline
        and f.ordering_key = k.ordering_key
    )
$$;
revoke all on function app.release_next(uuid[], text[], text[]) from public;
grant execute on function app.release_next(uuid[], text[], text[])
  to weir_definer, weir_dispatcher, weir_ledger;

-- Ends jobs that are still queued (cancelled, or dropped by an overload policy), with their last
-- chunk of the event log. Answers the jobs that were ended; one that was claimed meanwhile, or
-- whose log does not stand at from_seq - 1, is left alone.
create function app.end_queued(
  ids uuid[], new_status text, from_seqs integer[], to_seqs integer[], event_lists text[],
  errors text[]
)
returns setof uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  stamp timestamptz;
  ended uuid[];
  ended_pipelines text[];
  ended_keys text[];
begin
  perform from weir.tenant_usage v where v.tenant_id = tenant for update;
  stamp := clock_timestamp();
  with gone as (
    delete from weir.job_queue w
    using unnest(ids, from_seqs) as e(id, from_seq), weir.jobs j
    where w.tenant_id = tenant and w.job_id = e.id
      and j.tenant_id = tenant and j.id = e.id and j.last_seq = e.from_seq - 1
    returning w.job_id, w.pipeline, w.ordering_key
  )
  select array_agg(g.job_id), array_agg(g.pipeline), array_agg(g.ordering_key)
  into ended, ended_pipelines, ended_keys from gone g;
  if ended is null then
    return;
  end if;
  update weir.jobs j
  set status = new_status, finished_at = stamp, last_seq = e.to_seq, error = e.error
  from unnest(ids, to_seqs, errors) as e(id, to_seq, error)
  where j.tenant_id = tenant and j.id = e.id and e.id = any (ended);
  insert into weir.job_log (tenant_id, job_id, from_seq, to_seq, run, events)
  select tenant, e.id, e.from_seq, e.to_seq, j.run, e.events
  from unnest(ids, from_seqs, to_seqs, event_lists) as e(id, from_seq, to_seq, events)
  join weir.jobs j on j.tenant_id = tenant and j.id = e.id
  where e.id = any (ended);
  update weir.tenant_usage v set queued = v.queued - cardinality(ended) where v.tenant_id = tenant;
  perform app.release_next(
    array_fill(tenant, array[cardinality(ended)]), ended_pipelines, ended_keys);
  return query select unnest(ended);
end
$$;
revoke all on function app.end_queued(uuid[], text, integer[], integer[], text[], text[]) from public;
grant execute on function app.end_queued(uuid[], text, integer[], integer[], text[], text[])
  to weir_control;
alter function app.end_queued(uuid[], text, integer[], integer[], text[], text[]) owner to weir_definer;
