-- One row a session: where it comes from, and everything done in it.
SELECT
    s.session_id,
    s.parent_session_id,
    s.root_session_id,
    s.title,
    lash_rows.utc(s.created_at_us) AS created_at,
    lash_rows.utc(s.last_turn_at_us) AS last_turn_at,
    s.provider_id,
    s.model,
    coalesce(t.turns, 0) AS turns,
    coalesce(n.messages, 0) AS messages,
    lash_rows.frame_count(s.frames) AS frames,
    lash_rows.compaction_count(s.frames) AS compactions,
    coalesce(m.model_calls, 0) AS model_calls,
    coalesce(c.tool_calls, 0) AS tool_calls,
    coalesce(m.input_tokens, 0) AS input_tokens,
    coalesce(m.output_tokens, 0) AS output_tokens,
    coalesce(m.cache_read_input_tokens, 0) AS cache_read_input_tokens,
    coalesce(m.cache_write_input_tokens, 0) AS cache_write_input_tokens,
    coalesce(m.reasoning_output_tokens, 0) AS reasoning_output_tokens,
    coalesce(m.total_tokens, 0) AS total_tokens,
    CASE WHEN coalesce(m.unpriced_calls, 0) = 0 THEN coalesce(m.cost_usd, 0) END AS cost_usd
FROM lash_rows.sessions AS s
LEFT JOIN (
    SELECT s.session_id, count(*) AS turns
    FROM lash_rows.turns AS t
    JOIN lash_rows.session_names AS s ON s.session_key = t.session_key
    WHERE t.outcome IS NOT NULL
    GROUP BY s.session_id
) AS t ON t.session_id = s.session_id
LEFT JOIN (
    SELECT s.session_id, count(*) AS messages
    FROM lash_rows.nodes AS n
    JOIN lash_rows.sessions AS s ON s.session_key = n.session_key
    WHERE n.kind = 'message' AND n.label IN ('user', 'assistant') AND NOT n.tombstoned
        AND n.node_key >= s.replaced_before_key
    GROUP BY s.session_id
) AS n ON n.session_id = s.session_id
LEFT JOIN (
    SELECT
        session_id,
        count(*) AS model_calls,
        CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
        CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
        CAST(sum(cache_read_input_tokens) AS BIGINT) AS cache_read_input_tokens,
        CAST(sum(cache_write_input_tokens) AS BIGINT) AS cache_write_input_tokens,
        CAST(sum(reasoning_output_tokens) AS BIGINT) AS reasoning_output_tokens,
        CAST(sum(total_tokens) AS BIGINT) AS total_tokens,
        sum(cost_usd) AS cost_usd,
        count(*) FILTER (WHERE cost_usd IS NULL AND total_tokens > 0) AS unpriced_calls
    FROM usage.model_calls
    GROUP BY session_id
) AS m ON m.session_id = s.session_id
LEFT JOIN (
    SELECT session_id, count(*) AS tool_calls
    FROM usage.tool_calls
    GROUP BY session_id
) AS c ON c.session_id = s.session_id
WHERE s.head_revision > 0
