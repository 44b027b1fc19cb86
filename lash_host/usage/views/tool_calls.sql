-- One row a tool call: which tool, how long it took, how it ended.
SELECT
    s.session_id,
    c.call_id,
    c.turn_id,
    c.tool_id,
    c.tool_name,
    c.plugin_id,
    lash_rows.utc(c.started_at_us) AS started_at,
    c.duration_ms,
    c.status,
    c.attempts,
    c.error_code,
    c.args_bytes,
    c.result_bytes
FROM lash_rows.tool_calls AS c
JOIN lash_rows.session_names AS s ON s.session_key = c.session_key
