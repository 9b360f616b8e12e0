-- What ran, one row each and whole in itself: read from the events and rows that are there, so they
-- cost nothing while nobody asks, and cannot tell another story. They read with the rights of whoever
-- asks: row security binds as on the tables. No payloads.
--
-- Escapes are taken out of an event's text before it is parsed: jsonb refuses what JSON may say in a
-- string (NUL, half of a surrogate pair), and one message of one handler would hide all rows. Nothing
-- that is shown here has an escape in it.

-- An attempt of a task that has ended.
create view weir.wide_tasks with (security_invoker = true) as
select l.tenant_id, l.job_id, l.run, j.pipeline, j.version, j.correlation_id,
       nullif(split_part(j.traceparent, '-', 2), '') as trace_id,
       e.seq, e.step, e.stage, coalesce(e.item, '') as item, e.attempt,
       case e.type when 'task.retry_scheduled' then 'retried' else substr(e.type, 6) end as outcome,
       coalesce((e.data ->> 'waitMs')::double precision, 0) as wait_ms,
       coalesce((e.data ->> 'workMs')::double precision, 0) as work_ms,
       e.data -> 'error' ->> 'code' as error_code,
       e.at
from weir.job_log l
join weir.jobs j on j.tenant_id = l.tenant_id and j.id = l.job_id
cross join lateral jsonb_to_recordset(
  replace(replace(l.events, '\\', '/'), '\u', 'u')::jsonb
) as e(seq integer, type text, at timestamptz, step text, item text, attempt integer, stage text,
       data jsonb)
where e.type in (
  'task.completed', 'task.skipped', 'task.failed', 'task.cancelled', 'task.dropped',
  'task.retry_scheduled'
);

-- A run of a job, from when it was queued; the times that are still to come are null.
create view weir.wide_runs with (security_invoker = true) as
select j.tenant_id, j.id as job_id, r.run, j.pipeline, j.version, j.correlation_id,
       nullif(split_part(j.traceparent, '-', 2), '') as trace_id,
       coalesce(w.status, case
         when q.job_id is not null then 'queued'
         when f.cancelling then 'cancelling'
         else 'running'
       end) as status,
       w.queued_at, w.dispatched_at, w.finished_at,
       extract(epoch from w.dispatched_at - w.queued_at)::double precision * 1000 as queue_ms,
       extract(epoch from w.finished_at - w.dispatched_at)::double precision * 1000 as duration_ms,
       w.completed, w.skipped, w.failed, w.cancelled, w.dropped, w.retried, w.wait_ms, w.work_ms,
       w.error_code
from weir.jobs j
left join weir.job_queue q on q.tenant_id = j.tenant_id and q.job_id = j.id
left join weir.in_flight f on f.tenant_id = j.tenant_id and f.job_id = j.id
cross join lateral generate_series(1, coalesce(q.run, f.run, j.run)) as r(run)
cross join lateral (
  select
    substr(max(e.type) filter (where e.is_end), 5) as status,
    coalesce(
      min(e.at) filter (where e.type in ('job.queued', 'job.rerun')),
      case r.run when 1 then j.submitted_at else q.queued_at end
    ) as queued_at,
    coalesce(
      min(e.at) filter (where e.type = 'job.dispatched'),
      case r.run when coalesce(f.run, j.run) then coalesce(f.claimed_at, j.dispatched_at) end
    ) as dispatched_at,
    min(e.at) filter (where e.is_end) as finished_at,
    count(*) filter (where e.type = 'task.completed')::integer as completed,
    count(*) filter (where e.type = 'task.skipped')::integer as skipped,
    count(*) filter (where e.type = 'task.failed')::integer as failed,
    count(*) filter (where e.type = 'task.cancelled')::integer as cancelled,
    count(*) filter (where e.type = 'task.dropped')::integer as dropped,
    count(*) filter (where e.type = 'task.retry_scheduled')::integer as retried,
    coalesce(sum((e.data ->> 'waitMs')::double precision) filter (where e.is_attempt), 0) as wait_ms,
    coalesce(sum((e.data ->> 'workMs')::double precision) filter (where e.is_attempt), 0) as work_ms,
    max(e.data -> 'error' ->> 'code') filter (where e.is_end) as error_code
  from weir.job_log l
  cross join lateral (
    select v.type, v.at, v.data,
           v.type in (
             'job.completed', 'job.completed_with_failures', 'job.failed', 'job.cancelled',
             'job.dropped'
           ) as is_end,
           v.type in (
             'task.completed', 'task.skipped', 'task.failed', 'task.cancelled', 'task.dropped',
             'task.retry_scheduled'
           ) as is_attempt
    from jsonb_to_recordset(
      replace(replace(l.events, '\\', '/'), '\u', 'u')::jsonb
    ) as v(type text, at timestamptz, data jsonb)
  ) e
  where l.tenant_id = j.tenant_id and l.job_id = j.id and l.run = r.run
) w;

-- For who asks in the name of a tenant: control is the one service that does.
grant select on weir.wide_tasks, weir.wide_runs to weir_control;
