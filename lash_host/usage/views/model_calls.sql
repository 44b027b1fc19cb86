-- One row a model call: what it was for, how it went, what it consumed and cost.
SELECT
    s.session_id,
    c.call_id,
    c.turn_id,
    c.frame_id,
    c.iteration,
    c.source,
    c.plugin_id,
    c.provider_id,
    c.model,
    lash_rows.utc(c.started_at_us) AS started_at,
    c.duration_ms,
    c.time_to_first_token_ms,
    c.attempts,
    c.terminal_reason,
    c.error_kind,
    c.input_tokens,
    c.output_tokens,
    c.cache_read_input_tokens,
    c.cache_write_input_tokens,
    c.reasoning_output_tokens,
    c.input_tokens + c.output_tokens + c.cache_read_input_tokens + c.cache_write_input_tokens AS total_tokens,
    c.cost_usd
FROM lash_rows.model_calls AS c
JOIN lash_rows.session_names AS s ON s.session_key = c.session_key
