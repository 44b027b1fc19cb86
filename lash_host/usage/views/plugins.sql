-- One row a plugin and version that sessions used, with when and how many.
SELECT
    p.plugin_id,
    p.version,
    lash_rows.utc(min(p.first_seen_at_us)) AS first_seen_at,
    lash_rows.utc(max(coalesce(p.last_seen_at_us, s.updated_at_us))) AS last_seen_at,
    count(DISTINCT p.session_key) AS sessions
FROM lash_rows.plugins_seen AS p
JOIN lash_rows.sessions AS s ON s.session_key = p.session_key
GROUP BY p.plugin_id, p.version
