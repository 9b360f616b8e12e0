-- A plan made while a table is empty stays cached while the table grows, and to the planner all
-- indexes of an empty table cost the same. Where a second index begins with tenant_id, a lookup by
-- tenant and id may then read every job of the tenant, once per job: measured at 1,000 jobs,
-- 0.9 ms instead of 2 microseconds for each. With the tenant behind, only the primary key serves.
drop index weir.jobs_pipeline_idx;
drop index weir.jobs_correlation_idx;
create index jobs_pipeline_idx on weir.jobs (pipeline, tenant_id, id);
create index jobs_correlation_idx on weir.jobs (correlation_id, tenant_id);
