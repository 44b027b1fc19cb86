-- One row a day (UTC), provider, model and source: what model calls consumed and cost.
SELECT
    CAST(lash_rows.utc(started_at_us) AS DATE) AS day,
    provider_id,
    model,
    source,
    count(*) AS calls,
    count(DISTINCT session_key) AS sessions,
    CAST(sum(input_tokens) AS BIGINT) AS input_tokens,
    CAST(sum(output_tokens) AS BIGINT) AS output_tokens,
    CAST(sum(cache_read_input_tokens) AS BIGINT) AS cache_read_input_tokens,
    CAST(sum(cache_write_input_tokens) AS BIGINT) AS cache_write_input_tokens,
    CAST(sum(reasoning_output_tokens) AS BIGINT) AS reasoning_output_tokens,
    CAST(sum(input_tokens + output_tokens + cache_read_input_tokens + cache_write_input_tokens) AS BIGINT)
        AS total_tokens,
    CASE
        WHEN count(*) FILTER (
            WHERE cost_usd IS NULL
            AND input_tokens + output_tokens + cache_read_input_tokens + cache_write_input_tokens > 0
        ) = 0 THEN coalesce(sum(cost_usd), 0)
    END AS cost_usd
FROM lash_rows.model_calls
GROUP BY day, provider_id, model, source
