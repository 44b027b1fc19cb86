-- One row a turn: how it ended, and the model calls and tool calls made for it.
SELECT
    s.session_id,
    t.turn_id,
    t.turn_index,
    t.frame_id,
    lash_rows.utc(t.started_at_us) AS started_at,
    t.duration_ms,
    t.outcome,
    t.stop_reason,
    t.error_code,
    t.iterations,
    coalesce(m.model_calls, 0) AS model_calls,
    coalesce(c.tool_calls, 0) AS tool_calls,
    coalesce(m.input_tokens, 0) AS input_tokens,
    coalesce(m.output_tokens, 0) AS output_tokens,
    coalesce(m.cache_read_input_tokens, 0) AS cache_read_input_tokens,
    coalesce(m.cache_write_input_tokens, 0) AS cache_write_input_tokens,
    coalesce(m.reasoning_output_tokens, 0) AS reasoning_output_tokens,
    coalesce(m.total_tokens, 0) AS total_tokens,
    CASE WHEN coalesce(m.unpriced_calls, 0) = 0 THEN coalesce(m.cost_usd, 0) END AS cost_usd
FROM lash_rows.turns AS t
JOIN lash_rows.session_names AS s ON s.session_key = t.session_key
LEFT JOIN (
    SELECT
        session_id,
        turn_id,
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
    GROUP BY session_id, turn_id
) AS m ON m.session_id = s.session_id AND m.turn_id = t.turn_id
LEFT JOIN (
    SELECT session_id, turn_id, count(*) AS tool_calls
    FROM usage.tool_calls
    GROUP BY session_id, turn_id
) AS c ON c.session_id = s.session_id AND c.turn_id = t.turn_id
WHERE t.outcome IS NOT NULL
