-- Queued work, turn input, receipts, attachments, metadata; the chain of commits; the log they are written to first.

ALTER TABLE lash_tables.sessions ADD COLUMN meta TEXT;
ALTER TABLE lash_tables.sessions ADD COLUMN last_key BIGINT DEFAULT 0;
ALTER TABLE lash_tables.sessions ADD COLUMN replaced_before_key BIGINT DEFAULT 0;
ALTER TABLE lash_tables.sessions ADD COLUMN chain_hash TEXT;

ALTER TABLE lash_tables.sessions ALTER COLUMN last_key SET NOT NULL;
ALTER TABLE lash_tables.sessions ALTER COLUMN last_key DROP DEFAULT;
ALTER TABLE lash_tables.sessions ALTER COLUMN replaced_before_key SET NOT NULL;
ALTER TABLE lash_tables.sessions ALTER COLUMN replaced_before_key DROP DEFAULT;

CREATE TABLE lash_tables.commits (
  session_key BIGINT NOT NULL,
  head_revision BIGINT NOT NULL,
  first_key BIGINT NOT NULL,
  last_key BIGINT NOT NULL,
  turn_id TEXT,
  committed_at_us BIGINT NOT NULL,
  content_hash TEXT NOT NULL,
  chain_hash TEXT NOT NULL,
  is_pruned BOOLEAN NOT NULL
);

CREATE TABLE lash_tables.turn_inputs (
  session_key BIGINT NOT NULL,
  input_id TEXT NOT NULL,
  enqueue_seq BIGINT NOT NULL,
  source_key TEXT,
  ingress TEXT NOT NULL,
  submitted_ingress TEXT NOT NULL,
  state TEXT NOT NULL,
  enqueued_at_ms BIGINT NOT NULL,
  settled_at_us BIGINT,
  input TEXT NOT NULL,
  claim_fencing_token BIGINT NOT NULL,
  claim_id TEXT,
  claim_token TEXT,
  claim_owner TEXT,
  claimed_at_ms BIGINT NOT NULL,
  claim_expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (session_key, input_id)
);

CREATE TABLE lash_tables.queued_work (
  session_key BIGINT NOT NULL,
  batch_id TEXT NOT NULL,
  enqueue_seq BIGINT NOT NULL,
  source_key TEXT,
  work_class TEXT NOT NULL,
  delivery_policy TEXT NOT NULL,
  slot_policy TEXT NOT NULL,
  merge_key TEXT NOT NULL,
  available_at_ms BIGINT NOT NULL,
  enqueued_at_ms BIGINT NOT NULL,
  items TEXT NOT NULL,
  claim_fencing_token BIGINT NOT NULL,
  claim_id TEXT,
  claim_token TEXT,
  claim_owner TEXT,
  claimed_at_ms BIGINT NOT NULL,
  claim_expires_at_ms BIGINT NOT NULL,
  PRIMARY KEY (session_key, batch_id)
);

CREATE TABLE lash_tables.receipts (
  session_key BIGINT NOT NULL,
  source_key TEXT NOT NULL,
  batch TEXT NOT NULL,
  completed_at_us BIGINT NOT NULL,
  PRIMARY KEY (session_key, source_key)
);

CREATE TABLE lash_tables.attachments (
  session_key BIGINT NOT NULL,
  attachment_id TEXT NOT NULL,
  media_type TEXT NOT NULL,
  label TEXT,
  size_bytes BIGINT NOT NULL,
  intent_at_us BIGINT NOT NULL,
  committed_at_us BIGINT,
  PRIMARY KEY (session_key, attachment_id)
);

CREATE TABLE lash_tables.commit_log (
  entry_key BIGINT NOT NULL,
  session_key BIGINT NOT NULL,
  state TEXT,
  facts TEXT,
  nodes TEXT
);

-- Last: DuckDB alters no table that the transaction has updated.

UPDATE lash_tables.sessions SET last_key = session_key;

UPDATE lash_tables.sessions
SET last_key = used.greatest_key
FROM (
  SELECT session_key, max(row_key) AS greatest_key
  FROM (
    SELECT session_key, node_key AS row_key FROM lash_tables.nodes
    UNION ALL SELECT session_key, call_key FROM lash_tables.model_calls
    UNION ALL SELECT session_key, call_key FROM lash_tables.tool_calls
  ) AS every_row
  GROUP BY session_key
) AS used
WHERE used.session_key = sessions.session_key AND used.greatest_key > sessions.last_key;
