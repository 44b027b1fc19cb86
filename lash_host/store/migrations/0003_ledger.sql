-- What a session spent, beside its head; a second log, which takes turns with the first.

ALTER TABLE lash_tables.sessions ADD COLUMN ledger TEXT;

CREATE TABLE lash_tables.commit_log_next (
  entry_key BIGINT NOT NULL,
  session_key BIGINT NOT NULL,
  state TEXT,
  facts TEXT,
  nodes TEXT
);

-- Of sessions that the log has something of, it stays null: their calls are added up whenever it is asked for.

UPDATE lash_tables.sessions
SET ledger = '[]'
WHERE head_revision > 0 AND session_key NOT IN (SELECT session_key FROM lash_tables.commit_log);

UPDATE lash_tables.sessions
SET ledger = counted.ledger
FROM (
  SELECT session_key, '[' || string_agg(entry, ',' ORDER BY first_key) || ']' AS ledger
  FROM (
    SELECT
      session_key,
      min(call_key) AS first_key,
      '[' || CAST(to_json(source) AS TEXT) || ',' || CAST(to_json(model) AS TEXT)
      || ',' || CAST(sum(input_tokens) AS TEXT) || ',' || CAST(sum(output_tokens) AS TEXT)
      || ',' || CAST(sum(cache_read_input_tokens) AS TEXT) || ',' || CAST(sum(cache_write_input_tokens) AS TEXT)
      || ',' || CAST(sum(reasoning_output_tokens) AS TEXT) || ']' AS entry
    FROM lash_tables.model_calls
    WHERE input_tokens + output_tokens + cache_read_input_tokens + cache_write_input_tokens <> 0
    GROUP BY session_key, source, model
  ) AS entries
  GROUP BY session_key
) AS counted
WHERE counted.session_key = sessions.session_key AND sessions.ledger IS NOT NULL;
