-- What PostgreSQL needs besides: keys and indexes, which DuckDB does without.

CREATE SEQUENCE lash_tables.session_numbers MINVALUE 0 MAXVALUE 1023 CYCLE;

ALTER TABLE lash_tables.sessions ADD UNIQUE (session_key);
ALTER TABLE lash_tables.sessions SET (fillfactor = 70);
CREATE INDEX ON lash_tables.sessions (parent_session_id);

ALTER TABLE lash_tables.nodes ADD PRIMARY KEY (session_key, node_key);
CREATE INDEX ON lash_tables.nodes (session_key, node_id);

ALTER TABLE lash_tables.model_calls ADD PRIMARY KEY (session_key, call_key);
ALTER TABLE lash_tables.tool_calls ADD PRIMARY KEY (session_key, call_key);
CREATE INDEX ON lash_tables.hook_calls (session_key);
ALTER TABLE lash_tables.plugins_seen ADD PRIMARY KEY (session_key, plugin_id, version);
