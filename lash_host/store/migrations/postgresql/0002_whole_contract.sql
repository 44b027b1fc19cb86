-- What PostgreSQL needs besides: keys and indexes, and the bytes of attachments, which hosts share.

ALTER TABLE lash_tables.commits ADD PRIMARY KEY (session_key, head_revision);

ALTER TABLE lash_tables.turn_inputs ADD UNIQUE (session_key, source_key);
CREATE INDEX ON lash_tables.turn_inputs (session_key, enqueue_seq);
CREATE INDEX ON lash_tables.turn_inputs (session_key) WHERE state NOT IN ('cancelled', 'completed');

ALTER TABLE lash_tables.queued_work ADD UNIQUE (session_key, source_key);
CREATE INDEX ON lash_tables.queued_work (session_key, enqueue_seq);

CREATE INDEX ON lash_tables.attachments (attachment_id);

CREATE TABLE lash_tables.attachment_bytes (
  attachment_id TEXT NOT NULL,
  body BYTEA NOT NULL,
  modified_at_us BIGINT NOT NULL,
  PRIMARY KEY (attachment_id)
);
ALTER TABLE lash_tables.attachment_bytes ALTER COLUMN body SET STORAGE EXTERNAL;
