-- One row a plugin and version that sessions used, with when and how many.
SELECT
    p.plugin_id,
    p.version,
    make_timestamp(min(p.first_seen_at_us)) AS first_seen_at,
    make_timestamp(max(coalesce(p.last_seen_at_us, s.updated_at_us))) AS last_seen_at,
    count(DISTINCT p.session_key) AS sessions
FROM lash_tables.plugins_seen AS p
JOIN lash_tables.sessions AS s ON s.session_key = p.session_key
GROUP BY p.plugin_id, p.version
