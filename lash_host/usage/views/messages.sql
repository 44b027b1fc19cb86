-- One row a message: its text, and whether it is on the path that the session goes on from.
SELECT
    s.session_id,
    n.node_id,
    n.frame_id,
    n.label AS role,
    lash_rows.utc(n.created_at_us) AS created_at,
    lash_rows.message_text(n.payload) AS text,
    path.session_key IS NOT NULL AS on_active_path
FROM lash_rows.nodes AS n
JOIN lash_rows.session_names AS s ON s.session_key = n.session_key
LEFT JOIN (
    -- A stretch is a run of nodes, in the order they were inserted, each of which hangs on the one before. The way
    -- from the leaf back to the root is followed stretch by stretch, not node by node: a session that never
    -- branched is one stretch, so this costs one sort of the nodes and as many steps as the way has branches.
    WITH RECURSIVE live AS (
        SELECT
            n.session_key,
            n.node_key,
            n.node_id,
            n.parent_node_id,
            coalesce(
                n.parent_node_id = lag(n.node_id) OVER (PARTITION BY n.session_key ORDER BY n.node_key), FALSE
            ) AS follows
        FROM lash_rows.nodes AS n
        JOIN lash_rows.sessions AS s ON s.session_key = n.session_key
        WHERE NOT n.tombstoned AND n.node_key >= s.replaced_before_key
    ),
    placed AS MATERIALIZED (
        SELECT
            session_key,
            node_key,
            node_id,
            parent_node_id,
            follows,
            max(CASE WHEN NOT follows THEN node_key END)
                OVER (PARTITION BY session_key ORDER BY node_key ROWS UNBOUNDED PRECEDING) AS first_key
        FROM live
    ),
    stretches AS MATERIALIZED (
        SELECT
            head.session_key,
            head.first_key,
            parent.first_key AS earlier_first_key,
            parent.node_key AS earlier_last_key
        FROM placed AS head
        JOIN placed AS parent ON parent.session_key = head.session_key AND parent.node_id = head.parent_node_id
        WHERE NOT head.follows
    ),
    active (session_key, first_key, last_key) AS (
        SELECT leaf.session_key, leaf.first_key, leaf.node_key
        FROM lash_rows.sessions AS s
        JOIN placed AS leaf ON leaf.session_key = s.session_key AND leaf.node_id = s.leaf_node_id
        UNION ALL
        SELECT stretches.session_key, stretches.earlier_first_key, stretches.earlier_last_key
        FROM active
        JOIN stretches ON stretches.session_key = active.session_key AND stretches.first_key = active.first_key
        WHERE stretches.earlier_last_key < active.first_key
    )
    SELECT session_key, first_key, last_key FROM active
) AS path
    ON path.session_key = n.session_key
    AND n.node_key BETWEEN path.first_key AND path.last_key
    AND NOT n.tombstoned
WHERE n.kind = 'message'
