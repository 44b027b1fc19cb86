-- The functions that views call, in PostgreSQL's words: times from microseconds, and what is in stored JSON.

CREATE SCHEMA IF NOT EXISTS lash_rows;

CREATE OR REPLACE FUNCTION lash_rows.utc(us bigint) RETURNS timestamp
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN timestamp '1970-01-01 00:00:00' + us * interval '1 microsecond';

-- JSON may hold the character NUL, and text may not: it becomes U+FFFD. Its escape counts where an even number of
-- backslashes stands before it.
CREATE OR REPLACE FUNCTION lash_rows.without_nul(payload text) RETURNS json
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN CASE
    WHEN strpos(payload, '\u0000') = 0 THEN payload
    ELSE regexp_replace(payload, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g')
  END::json;

CREATE OR REPLACE FUNCTION lash_rows.message_text(payload text) RETURNS text
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (
    SELECT coalesce(string_agg(part.value ->> 'text', '' ORDER BY part.ordinality), '')
    FROM json_array_elements(lash_rows.without_nul(payload) -> 'parts') WITH ORDINALITY AS part
    WHERE part.value ->> 'kind' = 'text'
  );

CREATE OR REPLACE FUNCTION lash_rows.frame_count(frames text) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN coalesce(json_array_length(frames::json), 0)::bigint;

CREATE OR REPLACE FUNCTION lash_rows.compaction_count(frames text) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (
    SELECT count(*) FROM json_array_elements(frames::json) AS frame WHERE frame ->> 'reason' = 'compaction'
  );
