-- Written by dump-schema-main.ts; not to be edited.

-- schemas

app
grant create, usage to weir_definer
grant usage to weir_control
grant usage to weir_dispatcher
grant usage to weir_ledger
grant usage to weir_watchdog

weir
grant usage to weir_control
grant usage to weir_definer
grant usage to weir_dispatcher
grant usage to weir_ledger
grant usage to weir_watchdog

-- tables

table weir.api_keys
  tenant_id uuid not null
  id uuid not null
  key_id text not null
  secret_hash bytea not null
  role text not null
  scopes text[] not null default '{}'::text[]
  name text not null
  created_at timestamp with time zone not null default now()
  expires_at timestamp with time zone
  revoked_at timestamp with time zone
  constraint api_keys_key_id_key UNIQUE (key_id)
  constraint api_keys_pkey PRIMARY KEY (tenant_id, id)
  constraint api_keys_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'developer'::text, 'submitter'::text, 'viewer'::text])))
  constraint api_keys_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES weir.tenants(tenant_id)
  row security enabled and forced
  policy api_keys_base as permissive for all to weir_control using true with check true
  policy api_keys_definer as permissive for select to weir_definer using true
  policy api_keys_tenant as restrictive for all to weir_control using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant insert, select to weir_control
grant select to weir_definer
grant update (revoked_at) to weir_control

table weir.artifacts
  tenant_id uuid not null
  job_id uuid not null
  run integer not null
  step text not null
  item text not null
  digest text not null
  body bytea not null storage e
  constraint artifacts_pkey PRIMARY KEY (tenant_id, job_id, run, step, item, digest)
  row security enabled and forced
  policy artifacts_base as permissive for all to weir_control using true with check true
  policy artifacts_definer as permissive for all to weir_definer using true with check true
  policy artifacts_ledger as permissive for insert to weir_ledger with check true
  policy artifacts_ledger_read as permissive for select to weir_ledger using true
  policy artifacts_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant delete, select to weir_definer
grant insert to weir_ledger
grant select to weir_control
grant select (digest) to weir_ledger
grant select (item) to weir_ledger
grant select (job_id) to weir_ledger
grant select (run) to weir_ledger
grant select (step) to weir_ledger
grant select (tenant_id) to weir_ledger

table weir.audit_log
  tenant_id uuid not null
  id uuid not null
  at timestamp with time zone not null default clock_timestamp()
  actor text not null
  action text not null
  object text not null
  decision text not null
  request_id text not null
  reason text
  detail text
  constraint audit_log_decision_check CHECK ((decision = ANY (ARRAY['allowed'::text, 'denied'::text])))
  constraint audit_log_pkey PRIMARY KEY (tenant_id, id)
  row security enabled and forced
  policy audit_log_base as permissive for all to weir_control using true with check true
  policy audit_log_tenant as restrictive for all to weir_control using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant insert, select to weir_control

table weir.contracts
  stage_ref text not null
  version text not null
  hash text not null
  input text not null
  output text not null
  accepted boolean not null
  reason text
  created_at timestamp with time zone not null default now()
  constraint contracts_pkey PRIMARY KEY (stage_ref, version)
  constraint contracts_stage_ref_fkey FOREIGN KEY (stage_ref) REFERENCES weir.stages(ref)
grant insert, select to weir_control
grant select to weir_dispatcher
grant select to weir_ledger
grant select to weir_watchdog
grant update (accepted) to weir_control
grant update (hash) to weir_control
grant update (input) to weir_control
grant update (output) to weir_control
grant update (reason) to weir_control

table weir.dispatch_clock with (fillfactor=10)
  one boolean not null default true
  virtual_time double precision not null default 0
  constraint dispatch_clock_one_check CHECK (one)
  constraint dispatch_clock_pkey PRIMARY KEY (one)
grant select to weir_definer
grant select to weir_dispatcher
grant select to weir_watchdog
grant update (virtual_time) to weir_dispatcher

table weir.in_flight with (fillfactor=80, autovacuum_vacuum_scale_factor=0.0, autovacuum_vacuum_threshold=5000, autovacuum_vacuum_cost_delay=0)
  tenant_id uuid not null
  job_id uuid not null
  run integer not null
  plan_id text not null
  pipeline text not null
  ordering_key text
  weight integer not null
  claimed_at timestamp with time zone not null
  not_after timestamp with time zone not null
  cancelling boolean not null default false
  ended_steps text[] not null default '{}'::text[]
  cancel_reason text
  cancel_actor text
  cancel_requested_at timestamp with time zone
  constraint in_flight_pkey PRIMARY KEY (tenant_id, job_id)
  CREATE INDEX in_flight_cancelling_idx ON weir.in_flight USING btree (tenant_id, job_id) WHERE cancelling
  CREATE UNIQUE INDEX in_flight_ordering_key ON weir.in_flight USING btree (tenant_id, pipeline, ordering_key) WHERE (ordering_key IS NOT NULL)
  row security enabled and forced
  policy in_flight_base as permissive for all to weir_control, weir_definer using true with check true
  policy in_flight_dispatcher as permissive for insert to weir_dispatcher with check true
  policy in_flight_dispatcher_read as permissive for select to weir_dispatcher using true
  policy in_flight_ledger as permissive for all to weir_ledger using true with check true
  policy in_flight_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
  policy in_flight_watchdog as permissive for select to weir_watchdog using true
grant delete, select to weir_ledger
grant insert, select to weir_dispatcher
grant select to weir_control
grant select to weir_definer
grant select to weir_watchdog
grant update (cancel_actor) to weir_control
grant update (cancel_reason) to weir_control
grant update (cancel_requested_at) to weir_control
grant update (cancelling) to weir_control
grant update (ended_steps) to weir_ledger

table weir.job_log
  tenant_id uuid not null
  job_id uuid not null
  from_seq integer not null
  to_seq integer not null
  run integer not null
  events text not null storage e
  constraint job_log_pkey PRIMARY KEY (tenant_id, job_id, from_seq)
  constraint job_log_seq_check CHECK (((from_seq > 0) AND (to_seq >= from_seq)))
  row security enabled and forced
  policy job_log_base as permissive for all to weir_control, weir_definer using true with check true
  policy job_log_dispatcher as permissive for select to weir_dispatcher using true
  policy job_log_ledger as permissive for insert to weir_ledger with check true
  policy job_log_ledger_read as permissive for select to weir_ledger using true
  policy job_log_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant delete, insert, select to weir_definer
grant insert, select to weir_ledger
grant select to weir_control
grant select (from_seq) to weir_dispatcher
grant select (job_id) to weir_dispatcher
grant select (run) to weir_dispatcher
grant select (tenant_id) to weir_dispatcher

table weir.job_queue with (autovacuum_vacuum_scale_factor=0.0, autovacuum_vacuum_threshold=5000, autovacuum_vacuum_cost_delay=0)
  tenant_id uuid not null
  job_id uuid not null
  run integer not null
  plan_id text not null
  pipeline text not null
  band smallint not null
  virtual_finish double precision not null
  ordering_key text
  held boolean not null default false
  weight integer not null default 1
  queued_at timestamp with time zone not null
  constraint job_queue_band_check CHECK (((band >= 0) AND (band <= 3)))
  constraint job_queue_pkey PRIMARY KEY (tenant_id, job_id)
  CREATE INDEX job_queue_order_idx ON weir.job_queue USING btree (plan_id, band, virtual_finish, job_id) WHERE (NOT held)
  CREATE INDEX job_queue_ordering_idx ON weir.job_queue USING btree (tenant_id, pipeline, ordering_key, virtual_finish, job_id) WHERE (ordering_key IS NOT NULL)
  row security enabled and forced
  policy job_queue_base as permissive for all to weir_control, weir_definer using true with check true
  policy job_queue_dispatcher as permissive for all to weir_dispatcher using true with check true
  policy job_queue_ledger as permissive for update to weir_ledger using true
  policy job_queue_ledger_read as permissive for select to weir_ledger using true
  policy job_queue_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
  policy job_queue_watchdog as permissive for select to weir_watchdog using true
grant delete, insert, select to weir_definer
grant delete, select to weir_dispatcher
grant select to weir_control
grant select to weir_ledger
grant select to weir_watchdog
grant update (held) to weir_definer
grant update (held) to weir_dispatcher
grant update (held) to weir_ledger

table weir.jobs
  tenant_id uuid not null
  id uuid not null
  pipeline text not null
  version integer not null
  plan_id text not null
  run integer not null default 1
  status text not null default 'open'::text
  priority smallint not null
  ordering_key text
  correlation_id text not null
  traceparent text
  tags text[] not null default '{}'::text[]
  idempotency_key text
  input text not null storage e
  input_bytes integer not null
  deadline_ms integer
  submitted_at timestamp with time zone not null
  dispatched_at timestamp with time zone
  not_after timestamp with time zone
  finished_at timestamp with time zone
  last_seq integer not null default 0
  error text
  failed_step text
  constraint jobs_pkey PRIMARY KEY (tenant_id, id)
  constraint jobs_priority_check CHECK (((priority >= 0) AND (priority <= 255)))
  constraint jobs_status_check CHECK ((status = ANY (ARRAY['open'::text, 'completed'::text, 'completed_with_failures'::text, 'failed'::text, 'cancelled'::text, 'dropped'::text])))
  CREATE INDEX jobs_correlation_idx ON weir.jobs USING btree (correlation_id, tenant_id)
  CREATE INDEX jobs_pipeline_idx ON weir.jobs USING btree (pipeline, tenant_id, id)
  CREATE INDEX jobs_unsuccessful_idx ON weir.jobs USING btree (tenant_id, id) WHERE (status = ANY (ARRAY['completed_with_failures'::text, 'failed'::text, 'cancelled'::text, 'dropped'::text]))
  row security enabled and forced
  policy jobs_base as permissive for all to weir_control, weir_definer using true with check true
  policy jobs_dispatcher as permissive for select to weir_dispatcher using true
  policy jobs_ledger as permissive for update to weir_ledger using true
  policy jobs_ledger_read as permissive for select to weir_ledger using true
  policy jobs_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant delete, insert, select to weir_definer
grant select to weir_control
grant select (correlation_id) to weir_dispatcher
grant select (correlation_id) to weir_ledger
grant select (deadline_ms) to weir_dispatcher
grant select (id) to weir_dispatcher
grant select (id) to weir_ledger
grant select (input) to weir_dispatcher
grant select (ordering_key) to weir_dispatcher
grant select (pipeline) to weir_dispatcher
grant select (pipeline) to weir_ledger
grant select (plan_id) to weir_dispatcher
grant select (plan_id) to weir_ledger
grant select (priority) to weir_dispatcher
grant select (run) to weir_dispatcher
grant select (run) to weir_ledger
grant select (status) to weir_dispatcher
grant select, update (status) to weir_ledger
grant update (status) to weir_definer
grant select (submitted_at) to weir_dispatcher
grant select (submitted_at) to weir_ledger
grant select (tenant_id) to weir_dispatcher
grant select (tenant_id) to weir_ledger
grant select (traceparent) to weir_dispatcher
grant select (traceparent) to weir_ledger
grant select (version) to weir_dispatcher
grant select (version) to weir_ledger
grant select, update (last_seq) to weir_ledger
grant update (last_seq) to weir_definer
grant update (dispatched_at) to weir_ledger
grant update (error) to weir_definer
grant update (error) to weir_ledger
grant update (failed_step) to weir_ledger
grant update (finished_at) to weir_definer
grant update (finished_at) to weir_ledger
grant update (not_after) to weir_ledger

table weir.leases with (fillfactor=10)
  name text not null
  holder text not null
  fencing bigint not null
  expires_at timestamp with time zone not null
  constraint leases_pkey PRIMARY KEY (name)
grant insert, select to weir_control
grant insert, select to weir_dispatcher
grant insert, select to weir_ledger
grant insert, select to weir_watchdog
grant update (expires_at) to weir_control
grant update (expires_at) to weir_dispatcher
grant update (expires_at) to weir_ledger
grant update (expires_at) to weir_watchdog
grant update (fencing) to weir_control
grant update (fencing) to weir_dispatcher
grant update (fencing) to weir_ledger
grant update (fencing) to weir_watchdog
grant update (holder) to weir_control
grant update (holder) to weir_dispatcher
grant update (holder) to weir_ledger
grant update (holder) to weir_watchdog

table weir.ledger_offsets with (fillfactor=10)
  partition integer not null
  next_offset bigint not null
  owner text not null
  constraint ledger_offsets_next_offset_check CHECK ((next_offset >= 0))
  constraint ledger_offsets_pkey PRIMARY KEY (partition)
grant insert, select to weir_ledger
grant select to weir_dispatcher
grant select to weir_watchdog
grant update (next_offset) to weir_ledger
grant update (owner) to weir_ledger

table weir.outbox
  id bigint not null generated always as identity
  topic text not null
  key text not null
  value text
  headers text not null default '{}'::text
  created_at timestamp with time zone not null default now()
  constraint outbox_pkey PRIMARY KEY (id)
  row security enabled and forced
  policy outbox_base as permissive for insert to weir_control with check true
  policy outbox_relay as permissive for all to weir_dispatcher using true
  policy outbox_transaction as restrictive for all to weir_control using false with check (( SELECT NULLIF(current_setting('app.tenant_id'::text, true), ''::text) AS "nullif") IS NOT NULL)
grant delete, select to weir_dispatcher
grant insert (headers) to weir_control
grant insert (key) to weir_control
grant insert (topic) to weir_control
grant insert (value) to weir_control

table weir.payloads
  tenant_id uuid not null
  job_id uuid not null
  run integer not null
  step text not null
  item text not null
  digest text not null
  body text not null storage e
  constraint payloads_pkey PRIMARY KEY (tenant_id, job_id, run, step, item)
  row security enabled and forced
  policy payloads_base as permissive for all to weir_control using true with check true
  policy payloads_definer as permissive for all to weir_definer using true with check true
  policy payloads_ledger as permissive for insert to weir_ledger with check true
  policy payloads_ledger_read as permissive for select to weir_ledger using true
  policy payloads_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant delete, select to weir_definer
grant insert, select to weir_ledger
grant select to weir_control

table weir.pipeline_versions
  tenant_id uuid not null
  name text not null
  version integer not null
  plan_id text not null
  document_hash text not null
  document text not null
  effective text not null
  plan text not null
  created_by text not null
  created_at timestamp with time zone not null default now()
  constraint pipeline_versions_name_fkey FOREIGN KEY (tenant_id, name) REFERENCES weir.pipelines(tenant_id, name)
  constraint pipeline_versions_pkey PRIMARY KEY (tenant_id, name, version)
  constraint pipeline_versions_plan_id_key UNIQUE (tenant_id, plan_id)
  constraint pipeline_versions_version_check CHECK ((version > 0))
  CREATE INDEX pipeline_versions_plan_id_idx ON weir.pipeline_versions USING btree (plan_id)
  row security enabled and forced
  policy pipeline_versions_base as permissive for all to weir_control using true with check true
  policy pipeline_versions_dispatcher as permissive for select to weir_dispatcher using true
  policy pipeline_versions_ledger as permissive for select to weir_ledger using true
  policy pipeline_versions_tenant as restrictive for all to weir_control using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant insert, select to weir_control
grant select (name) to weir_dispatcher
grant select (name) to weir_ledger
grant select (plan) to weir_dispatcher
grant select (plan) to weir_ledger
grant select (plan_id) to weir_dispatcher
grant select (plan_id) to weir_ledger
grant select (tenant_id) to weir_dispatcher
grant select (tenant_id) to weir_ledger
grant select (version) to weir_dispatcher
grant select (version) to weir_ledger

table weir.pipelines
  tenant_id uuid not null
  name text not null
  current_version integer not null
  paused boolean not null default false
  created_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint pipelines_name_check CHECK (((length(name) >= 1) AND (length(name) <= 63)))
  constraint pipelines_pkey PRIMARY KEY (tenant_id, name)
  constraint pipelines_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES weir.tenants(tenant_id)
  row security enabled and forced
  policy pipelines_base as permissive for all to weir_control using true with check true
  policy pipelines_dispatcher as permissive for select to weir_dispatcher using true
  policy pipelines_tenant as restrictive for all to weir_control using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant insert, select to weir_control
grant select (deleted_at) to weir_dispatcher
grant update (deleted_at) to weir_control
grant select (name) to weir_dispatcher
grant select (paused) to weir_dispatcher
grant update (paused) to weir_control
grant select (tenant_id) to weir_dispatcher
grant update (current_version) to weir_control

table weir.stages
  ref text not null
  kind text not null
  partitions integer not null
  lanes text[] not null
  in_flight_max integer not null
  auto_activate boolean not null default true
  state text not null default 'created'::text
  row_version integer not null default 1
  key_ids text[] not null default '{}'::text[]
  spec text not null default '{}'::text
  created_at timestamp with time zone not null default now()
  updated_at timestamp with time zone not null default now()
  constraint stages_pkey PRIMARY KEY (ref)
  constraint stages_sizes_check CHECK ((((partitions >= 1) AND (partitions <= 10000)) AND (in_flight_max > 0)))
  constraint stages_state_check CHECK ((state = ANY (ARRAY['created'::text, 'launched'::text, 'active'::text, 'deactivated'::text, 'terminating'::text, 'terminated'::text])))
grant insert, select to weir_control
grant select to weir_dispatcher
grant select to weir_ledger
grant select to weir_watchdog
grant update (auto_activate) to weir_control
grant update (in_flight_max) to weir_control
grant update (key_ids) to weir_control
grant update (kind) to weir_control
grant update (lanes) to weir_control
grant update (partitions) to weir_control
grant update (row_version) to weir_control
grant update (spec) to weir_control
grant update (state) to weir_control
grant update (updated_at) to weir_control

table weir.submit_keys
  tenant_id uuid not null
  key text not null
  pipeline text not null
  job_id uuid not null
  body_hash bytea not null
  created_at timestamp with time zone not null
  constraint submit_keys_pkey PRIMARY KEY (tenant_id, key, pipeline)
  CREATE INDEX submit_keys_created_at_idx ON weir.submit_keys USING btree (created_at)
  row security enabled and forced
  policy submit_keys_base as permissive for all to weir_control, weir_definer using true with check true
  policy submit_keys_dispatcher as permissive for delete to weir_dispatcher using true
  policy submit_keys_dispatcher_read as permissive for select to weir_dispatcher using true
  policy submit_keys_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
grant delete to weir_dispatcher
grant insert, select to weir_definer
grant select to weir_control
grant select (created_at) to weir_dispatcher
grant update (created_at) to weir_definer
grant select (key) to weir_dispatcher
grant select (pipeline) to weir_dispatcher
grant select (tenant_id) to weir_dispatcher
grant update (body_hash) to weir_definer
grant update (job_id) to weir_definer

table weir.tenant_usage with (fillfactor=50, autovacuum_vacuum_scale_factor=0.0, autovacuum_vacuum_threshold=1000)
  tenant_id uuid not null
  tat timestamp with time zone not null default '-infinity'::timestamp with time zone
  queued integer not null default 0
  in_flight integer not null default 0
  stored_bytes bigint not null default 0
  virtual_finish double precision not null default 0
  constraint tenant_usage_gauges_check CHECK (((queued >= 0) AND (in_flight >= 0) AND (stored_bytes >= 0)))
  constraint tenant_usage_pkey PRIMARY KEY (tenant_id)
  constraint tenant_usage_tenant_id_fkey FOREIGN KEY (tenant_id) REFERENCES weir.tenants(tenant_id)
  row security enabled and forced
  policy tenant_usage_base as permissive for all to weir_control, weir_definer using true with check true
  policy tenant_usage_dispatcher as permissive for update to weir_dispatcher using true
  policy tenant_usage_dispatcher_read as permissive for select to weir_dispatcher using true
  policy tenant_usage_ledger as permissive for update to weir_ledger using true
  policy tenant_usage_ledger_read as permissive for select to weir_ledger using true
  policy tenant_usage_tenant as restrictive for all to weir_control, weir_definer using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
  policy tenant_usage_watchdog as permissive for select to weir_watchdog using true
grant select to weir_control
grant select to weir_definer
grant select to weir_dispatcher
grant select to weir_ledger
grant select to weir_watchdog
grant insert (tenant_id) to weir_control
grant update (in_flight) to weir_dispatcher
grant update (in_flight) to weir_ledger
grant update (queued) to weir_definer
grant update (queued) to weir_dispatcher
grant update (stored_bytes) to weir_definer
grant update (stored_bytes) to weir_ledger
grant update (tat) to weir_definer
grant update (virtual_finish) to weir_definer

table weir.tenants
  tenant_id uuid not null
  name text not null
  suspended boolean not null default false
  submit_rate_per_second integer not null default 5000
  submit_burst integer not null default 20000
  max_queued_jobs integer not null default 100000
  max_in_flight_jobs integer not null default 10000
  max_payload_bytes integer not null default 1048576
  max_stored_bytes bigint not null default '10737418240'::bigint
  max_pipelines integer not null default 100
  weight integer not null default 1
  created_at timestamp with time zone not null default now()
  deleted_at timestamp with time zone
  constraint tenants_name_check CHECK (((length(name) >= 1) AND (length(name) <= 100)))
  constraint tenants_name_key UNIQUE (name)
  constraint tenants_pkey PRIMARY KEY (tenant_id)
  constraint tenants_quotas_check CHECK ((((submit_rate_per_second >= 1) AND (submit_rate_per_second <= 1000000)) AND ((submit_burst >= 1) AND (submit_burst <= 10000000)) AND (max_queued_jobs >= 0) AND (max_in_flight_jobs >= 0) AND (max_payload_bytes >= 0) AND (max_stored_bytes >= 0) AND (max_pipelines >= 0) AND ((weight >= 1) AND (weight <= 1000))))
  row security enabled and forced
  policy tenants_base as permissive for all to weir_control using true with check true
  policy tenants_definer as permissive for select to weir_definer using true
  policy tenants_dispatcher as permissive for select to weir_dispatcher using true
  policy tenants_tenant as restrictive for all to weir_control using (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")) with check (tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif"))
  policy tenants_watchdog as permissive for select to weir_watchdog using true
grant insert, select to weir_control
grant select to weir_definer
grant select (deleted_at) to weir_dispatcher
grant select (deleted_at) to weir_watchdog
grant update (deleted_at) to weir_control
grant select (max_in_flight_jobs) to weir_dispatcher
grant select (max_in_flight_jobs) to weir_watchdog
grant update (max_in_flight_jobs) to weir_control
grant select (suspended) to weir_dispatcher
grant select (suspended) to weir_watchdog
grant update (suspended) to weir_control
grant select (tenant_id) to weir_dispatcher
grant select (tenant_id) to weir_watchdog
grant select (weight) to weir_dispatcher
grant select (weight) to weir_watchdog
grant update (weight) to weir_control
grant update (max_payload_bytes) to weir_control
grant update (max_pipelines) to weir_control
grant update (max_queued_jobs) to weir_control
grant update (max_stored_bytes) to weir_control
grant update (name) to weir_control
grant update (submit_burst) to weir_control
grant update (submit_rate_per_second) to weir_control

view weir.wide_runs with (security_invoker=true)
  tenant_id uuid
  job_id uuid
  run integer
  pipeline text
  version integer
  correlation_id text
  trace_id text
  status text
  queued_at timestamp with time zone
  dispatched_at timestamp with time zone
  finished_at timestamp with time zone
  queue_ms double precision
  duration_ms double precision
  completed integer
  skipped integer
  failed integer
  cancelled integer
  dropped integer
  retried integer
  wait_ms double precision
  work_ms double precision
  error_code text
grant select to weir_control

view weir.wide_tasks with (security_invoker=true)
  tenant_id uuid
  job_id uuid
  run integer
  pipeline text
  version integer
  correlation_id text
  trace_id text
  seq integer
  step text
  stage text
  item text
  attempt integer
  outcome text
  wait_ms double precision
  work_ms double precision
  error_code text
  at timestamp with time zone
grant select to weir_control

-- functions

CREATE OR REPLACE FUNCTION app.admit_jobs(all_or_none boolean, ids uuid[], pipelines text[], versions integer[], plan_ids text[], priorities smallint[], bands smallint[], weights integer[], ordering_keys text[], correlation_ids text[], traceparents text[], tag_lists text[], inputs text[], deadlines integer[], idempotency_keys text[], body_hashes bytea[], key_ttl interval)
 RETURNS TABLE(admitted integer, quota text, retry_after_ms integer, repeat_index integer[], repeat_job uuid[], repeat_same boolean[])
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$

owner weir_definer
grant execute to weir_control

CREATE OR REPLACE FUNCTION app.advance_offset(part integer, from_offset bigint, to_offset bigint, by text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  update weir.ledger_offsets set next_offset = to_offset
  where partition = part and next_offset = from_offset and owner = by;
  if not found then
    raise exception 'partition % is not at offset % for this owner', part, from_offset
      using errcode = 'WR001';
  end if;
end
$function$

owner weir_owner
grant execute to weir_ledger

CREATE OR REPLACE FUNCTION app.count_ends(runs bigint, is_cancel_missed boolean)
 RETURNS integer
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if is_cancel_missed then
    raise exception 'a run ends without the cancel that was asked for' using errcode = 'WR002';
  end if;
  return runs;
end
$function$

owner weir_owner
grant execute to weir_ledger

CREATE OR REPLACE FUNCTION app.end_queued(ids uuid[], new_status text, from_seqs integer[], to_seqs integer[], event_lists text[], errors text[])
 RETURNS SETOF uuid
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  tenant constant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
  stamp timestamptz;
  bytes bigint := 0;
  ended uuid[] := '{}';
  ended_pipelines text[] := '{}';
  ended_keys text[] := '{}';
  job_run integer;
  gone record;
begin
  perform from weir.tenant_usage v where v.tenant_id = tenant for update;
  stamp := clock_timestamp();
  for i in 1 .. coalesce(cardinality(ids), 0) loop
    select j.run into job_run from weir.jobs j
    where j.tenant_id = tenant and j.id = ids[i] and j.last_seq = from_seqs[i] - 1;
    continue when not found;
    delete from weir.job_queue w where w.tenant_id = tenant and w.job_id = ids[i]
    returning w.pipeline, w.ordering_key into gone;
    continue when not found;
    update weir.jobs j
    set status = new_status, finished_at = stamp, last_seq = to_seqs[i], error = errors[i]
    where j.tenant_id = tenant and j.id = ids[i];
    insert into weir.job_log (tenant_id, job_id, from_seq, to_seq, run, events)
    values (tenant, ids[i], from_seqs[i], to_seqs[i], job_run, event_lists[i]);
    bytes := bytes + octet_length(event_lists[i]);
    ended := ended || ids[i];
    if gone.ordering_key is not null then
      ended_pipelines := ended_pipelines || gone.pipeline;
      ended_keys := ended_keys || gone.ordering_key;
    end if;
  end loop;
  if cardinality(ended) = 0 then
    return;
  end if;
  update weir.tenant_usage v
  set queued = v.queued - cardinality(ended), stored_bytes = v.stored_bytes + bytes
  where v.tenant_id = tenant;
  if cardinality(ended_keys) > 0 then
    perform app.release_next(
      array_fill(tenant, array[cardinality(ended_keys)]), ended_pipelines, ended_keys);
  end if;
  return query select unnest(ended);
end
$function$

owner weir_definer
grant execute to weir_control

CREATE OR REPLACE FUNCTION app.find_api_key(wanted text)
 RETURNS TABLE(tenant_id uuid, id uuid, secret_hash bytea, role text, scopes text[], name text, expires_at timestamp with time zone, revoked_at timestamp with time zone, tenant_name text, suspended boolean)
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select k.tenant_id, k.id, k.secret_hash, k.role, k.scopes, k.name, k.expires_at, k.revoked_at,
         t.name, t.suspended
  from weir.api_keys k
  join weir.tenants t on t.tenant_id = k.tenant_id and t.deleted_at is null
  where k.key_id = wanted
$function$

owner weir_definer
grant execute to weir_control

CREATE OR REPLACE FUNCTION app.list_tenants(after uuid, row_limit integer)
 RETURNS SETOF weir.tenants
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select * from weir.tenants
  where (after is null or tenant_id < after) and deleted_at is null
  order by tenant_id desc
  limit row_limit
$function$

owner weir_definer
grant execute to weir_control

CREATE OR REPLACE FUNCTION app.lock_usage()
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform from weir.tenant_usage v
  where v.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
  for update;
end
$function$

owner weir_definer
grant execute to weir_control

CREATE OR REPLACE FUNCTION app.purge_jobs(tenant uuid, before_id uuid, before timestamp with time zone, row_limit integer)
 RETURNS integer
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  victims uuid[];
  bytes bigint;
begin
  perform app.set_tenant(tenant);
  perform from weir.tenant_usage v where v.tenant_id = tenant for update;
  victims := array(
    select j.id from weir.jobs j
    where j.tenant_id = tenant and j.id < before_id and j.status <> 'open' and j.finished_at < before
    order by j.id limit row_limit
  );
  if cardinality(victims) = 0 then
    return 0;
  end if;
  with log as (
    delete from weir.job_log l where l.tenant_id = tenant and l.job_id = any (victims)
    returning octet_length(l.events) as size
  ),
  kept as (
    delete from weir.payloads p where p.tenant_id = tenant and p.job_id = any (victims)
    returning octet_length(p.body) as size
  ),
  made as (
    delete from weir.artifacts a where a.tenant_id = tenant and a.job_id = any (victims)
    returning octet_length(a.body) as size
  ),
  gone as (
    delete from weir.jobs j where j.tenant_id = tenant and j.id = any (victims)
    returning j.input_bytes as size
  )
  select coalesce(sum(a.size), 0) into bytes
  from (
    select size from log union all select size from kept union all select size from made
    union all select size from gone
  ) a;
  update weir.tenant_usage v set stored_bytes = greatest(0, v.stored_bytes - bytes)
  where v.tenant_id = tenant;
  return cardinality(victims);
end
$function$

owner weir_definer
grant execute to weir_dispatcher

CREATE OR REPLACE FUNCTION app.release_next(tenants uuid[], pipelines text[], keys text[])
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$

owner weir_owner
grant execute to weir_definer
grant execute to weir_dispatcher
grant execute to weir_ledger

CREATE OR REPLACE FUNCTION app.set_tenant(tenant uuid)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if tenant is null then
    raise exception 'no tenant given' using errcode = '42501';
  end if;
  if nullif(current_setting('app.tenant_id', true), '') is not null then
    raise exception 'the tenant of this transaction is already set' using errcode = '42501';
  end if;
  perform set_config('app.tenant_id', tenant::text, true);
end
$function$

owner weir_definer
grant execute to weir_control

-- settings of roles

weir_control enable_seqscan=off, idle_in_transaction_session_timeout=10s, jit=off, lock_timeout=1s, plan_cache_mode=force_generic_plan, search_path=weir, pg_catalog, statement_timeout=5s

weir_dispatcher enable_hashjoin=off, enable_mergejoin=off, enable_seqscan=off, idle_in_transaction_session_timeout=10s, jit=off, lock_timeout=1s, plan_cache_mode=force_generic_plan, search_path=weir, pg_catalog, statement_timeout=5s

weir_ledger enable_hashjoin=off, enable_mergejoin=off, enable_seqscan=off, idle_in_transaction_session_timeout=10s, jit=off, lock_timeout=1s, plan_cache_mode=force_generic_plan, search_path=weir, pg_catalog, statement_timeout=5s

weir_watchdog enable_seqscan=off, idle_in_transaction_session_timeout=10s, jit=off, lock_timeout=1s, plan_cache_mode=force_generic_plan, search_path=weir, pg_catalog, statement_timeout=5s
