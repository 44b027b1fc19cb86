-- One row a plugin, hook and turn: what the plugin's implementations of the hook cost in time.
SELECT
    s.session_id,
    h.plugin_id,
    h.hook,
    h.calls,
    h.total_ms,
    h.max_ms,
    h.errors,
    h.turn_id
FROM lash_rows.hook_calls AS h
JOIN lash_rows.session_names AS s ON s.session_key = h.session_key
