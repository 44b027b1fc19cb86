CREATE SCHEMA lash_tables;

CREATE TABLE lash_tables.meta (
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (key)
);

CREATE TABLE lash_tables.sessions (
  session_key BIGINT NOT NULL,
  session_id TEXT NOT NULL,
  parent_session_id TEXT,
  root_session_id TEXT NOT NULL,
  title TEXT,
  created_at_us BIGINT NOT NULL,
  updated_at_us BIGINT NOT NULL,
  last_turn_at_us BIGINT,
  turns BIGINT NOT NULL,
  head_revision BIGINT NOT NULL,
  leaf_node_id TEXT,
  live_nodes BIGINT NOT NULL,
  current_frame_id TEXT,
  frame_start_key BIGINT NOT NULL,
  provider_id TEXT,
  model TEXT,
  frames TEXT,
  policy TEXT,
  checkpoint TEXT,
  checkpoint_ref TEXT,
  fencing_token BIGINT NOT NULL,
  lease_token TEXT,
  lease_owner TEXT,
  lease_claimed_at_ms BIGINT NOT NULL,
  lease_expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (session_id)
);

CREATE TABLE lash_tables.nodes (
  session_key BIGINT NOT NULL,
  node_key BIGINT NOT NULL,
  node_id TEXT NOT NULL,
  parent_node_id TEXT,
  frame_id TEXT NOT NULL,
  created_at_us BIGINT NOT NULL,
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  payload TEXT NOT NULL,
  tombstoned BOOLEAN NOT NULL
);

CREATE TABLE lash_tables.turns (
  session_key BIGINT NOT NULL,
  turn_id TEXT NOT NULL,
  turn_index BIGINT,
  frame_id TEXT,
  started_at_us BIGINT,
  duration_ms DOUBLE PRECISION,
  outcome TEXT,
  stop_reason TEXT,
  error_code TEXT,
  iterations BIGINT,
  input_tokens BIGINT,
  output_tokens BIGINT,
  cache_read_input_tokens BIGINT,
  cache_write_input_tokens BIGINT,
  reasoning_output_tokens BIGINT,
  commit_hash TEXT,
  result TEXT,
  PRIMARY KEY (session_key, turn_id)
);

CREATE TABLE lash_tables.model_calls (
  session_key BIGINT NOT NULL,
  call_key BIGINT NOT NULL,
  call_id TEXT NOT NULL,
  turn_id TEXT,
  frame_id TEXT NOT NULL,
  iteration BIGINT NOT NULL,
  source TEXT NOT NULL,
  plugin_id TEXT,
  provider_id TEXT NOT NULL,
  model TEXT NOT NULL,
  started_at_us BIGINT NOT NULL,
  duration_ms DOUBLE PRECISION NOT NULL,
  time_to_first_token_ms DOUBLE PRECISION,
  attempts BIGINT NOT NULL,
  terminal_reason TEXT NOT NULL,
  error_kind TEXT,
  input_tokens BIGINT,
  output_tokens BIGINT,
  cache_read_input_tokens BIGINT,
  cache_write_input_tokens BIGINT,
  reasoning_output_tokens BIGINT,
  cost_usd DOUBLE PRECISION
);

CREATE TABLE lash_tables.tool_calls (
  session_key BIGINT NOT NULL,
  call_key BIGINT NOT NULL,
  call_id TEXT NOT NULL,
  turn_id TEXT,
  tool_id TEXT NOT NULL,
  tool_name TEXT NOT NULL,
  plugin_id TEXT,
  started_at_us BIGINT NOT NULL,
  duration_ms DOUBLE PRECISION NOT NULL,
  status TEXT NOT NULL,
  attempts BIGINT NOT NULL,
  error_code TEXT,
  args_bytes BIGINT NOT NULL,
  result_bytes BIGINT NOT NULL,
  arguments TEXT NOT NULL,
  output TEXT NOT NULL
);

CREATE TABLE lash_tables.hook_calls (
  session_key BIGINT NOT NULL,
  turn_id TEXT,
  plugin_id TEXT NOT NULL,
  hook TEXT NOT NULL,
  calls BIGINT NOT NULL,
  total_ms DOUBLE PRECISION NOT NULL,
  max_ms DOUBLE PRECISION NOT NULL,
  errors BIGINT NOT NULL
);

CREATE TABLE lash_tables.plugins_seen (
  session_key BIGINT NOT NULL,
  plugin_id TEXT NOT NULL,
  version TEXT NOT NULL,
  first_seen_at_us BIGINT NOT NULL,
  last_seen_at_us BIGINT
);

CREATE TABLE lash_tables.blobs (
  ref TEXT NOT NULL,
  body BYTEA NOT NULL,
  size_bytes BIGINT NOT NULL,
  created_at_us BIGINT NOT NULL,
  PRIMARY KEY (ref)
);

