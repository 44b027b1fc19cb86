"""The tables of the store, declared once for every dialect.

Keys (`session_key`, `node_key`, `call_key`) are 64-bit and grow with time: a session's rows lie close together and are
found by the minimum and maximum of each stretch of rows, without an index. There are no foreign keys: what belongs
together is written and deleted together. Times are UTC microseconds, durations milliseconds.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text

__all__ = [
    "SCHEMA",
    "blobs",
    "hook_calls",
    "meta",
    "metadata",
    "model_calls",
    "nodes",
    "plugins_seen",
    "sessions",
    "tool_calls",
    "turns",
]

SCHEMA = "lash_tables"
"""Where the tables are. Not ``lash``: DuckDB names a database after its file, and in ``lash.duckdb`` a name that begins
with ``lash.`` would be ambiguous, inside views too."""

metadata = MetaData(schema=SCHEMA)


def _token_columns() -> tuple[Column[int], ...]:
    """Give the five counters of `TokenUsage`, as columns of those names."""
    return (
        Column("input_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("cache_read_input_tokens", BigInteger),
        Column("cache_write_input_tokens", BigInteger),
        Column("reasoning_output_tokens", BigInteger),
    )


meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    comment="Facts of the store itself: schema_version, created_at_us, views.",
)

sessions = Table(
    "sessions",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("session_id", Text, primary_key=True),
    Column("parent_session_id", Text),
    Column("root_session_id", Text, nullable=False),
    Column("title", Text),
    Column("created_at_us", BigInteger, nullable=False, comment="First commit."),
    Column("updated_at_us", BigInteger, nullable=False, comment="Latest commit."),
    Column("last_turn_at_us", BigInteger, comment="When the latest turn was committed."),
    Column("turns", BigInteger, nullable=False, comment="How many turns were committed."),
    Column("head_revision", BigInteger, nullable=False, comment="0: only leased, never committed; not a session yet."),
    Column("leaf_node_id", Text),
    Column("live_nodes", BigInteger, nullable=False, comment="How many nodes are not tombstoned."),
    Column("current_frame_id", Text),
    Column("frame_start_key", BigInteger, nullable=False, comment="No node of the current frame has a smaller key."),
    Column("provider_id", Text),
    Column("model", Text),
    Column("frames", Text, comment="JSON array of AgentFrame, oldest first."),
    Column("policy", Text, comment="JSON SessionPolicy."),
    Column("checkpoint", Text, comment="JSON CheckpointManifest."),
    Column("checkpoint_ref", Text, comment="SHA-256 of `checkpoint`, hex."),
    Column("fencing_token", BigInteger, nullable=False, comment="No holder of the lease was given a greater one."),
    Column("lease_token", Text, comment="Null: nobody holds the lease."),
    Column("lease_owner", Text, comment="JSON LeaseOwner."),
    Column("lease_claimed_at_ms", BigInteger, nullable=False),
    Column("lease_expires_at_ms", BigInteger, nullable=False),
    comment="One row a session. It holds the lease too, so that a commit that releases it updates one row.",
)

nodes = Table(
    "nodes",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("node_key", BigInteger, nullable=False, comment="Insertion order."),
    Column("node_id", Text, nullable=False, comment="Unique among a session's nodes that are not tombstoned."),
    Column("parent_node_id", Text),
    Column("frame_id", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("kind", Text, nullable=False, comment="message, event or record."),
    Column("label", Text, nullable=False, comment="A message's role, else the plugin's id."),
    Column("payload", Text, nullable=False, comment="JSON: a Message, or what the plugin wrote."),
    Column("tombstoned", Boolean, nullable=False),
    comment="The session graph. Replaced nodes are tombstoned, not deleted.",
)

turns = Table(
    "turns",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("turn_id", Text, nullable=False),
    Column("turn_index", BigInteger),
    Column("frame_id", Text),
    Column("started_at_us", BigInteger),
    Column("duration_ms", Double),
    Column("outcome", Text, comment="Null: the stamp of a commit that ended no turn; not a turn."),
    Column("stop_reason", Text),
    Column("error_code", Text),
    Column("iterations", BigInteger),
    *_token_columns(),
    Column("commit_hash", Text, comment="With `result`: the stamp that makes the commit repeatable."),
    Column("result", Text, comment="JSON CommitResult."),
    PrimaryKeyConstraint("session_key", "turn_id"),
    comment="One row a turn, with its commit stamp.",
)

model_calls = Table(
    "model_calls",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("call_key", BigInteger, nullable=False, comment="Order of commitment."),
    Column("call_id", Text, nullable=False),
    Column("turn_id", Text),
    Column("frame_id", Text, nullable=False),
    Column("iteration", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
    Column("plugin_id", Text),
    Column("provider_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("time_to_first_token_ms", Double),
    Column("attempts", BigInteger, nullable=False),
    Column("terminal_reason", Text, nullable=False),
    Column("error_kind", Text),
    *_token_columns(),
    Column("cost_usd", Double),
    comment="One row a model call. These rows are the usage ledger.",
)

tool_calls = Table(
    "tool_calls",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("call_key", BigInteger, nullable=False, comment="Order of commitment."),
    Column("call_id", Text, nullable=False),
    Column("turn_id", Text),
    Column("tool_id", Text, nullable=False),
    Column("tool_name", Text, nullable=False),
    Column("plugin_id", Text),
    Column("started_at_us", BigInteger, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("status", Text, nullable=False, comment="success, failure or cancelled."),
    Column("attempts", BigInteger, nullable=False),
    Column("error_code", Text, comment="The code of a failure."),
    Column("args_bytes", BigInteger, nullable=False, comment="Length of `arguments` in UTF-8."),
    Column("result_bytes", BigInteger, nullable=False, comment="Length of `output` in UTF-8."),
    Column("arguments", Text, nullable=False, comment="JSON object."),
    Column("output", Text, nullable=False, comment="JSON ToolOutput."),
    comment="One row a tool call.",
)

hook_calls = Table(
    "hook_calls",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("turn_id", Text),
    Column("plugin_id", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("total_ms", Double, nullable=False),
    Column("max_ms", Double, nullable=False),
    Column("errors", BigInteger, nullable=False),
    comment="One row a plugin, hook and commit.",
)

plugins_seen = Table(
    "plugins_seen",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("plugin_id", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("first_seen_at_us", BigInteger, nullable=False),
    Column("last_seen_at_us", BigInteger, comment="Null while the session uses it: read `sessions.updated_at_us`."),
    comment="One row a session, plugin and version. No commit touches it unless the session's plugins changed.",
)

blobs = Table(
    "blobs",
    metadata,
    Column("ref", Text, primary_key=True, comment="SHA-256 of `body`, hex."),
    Column("body", LargeBinary, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    comment="Content-addressed bytes, shared by all sessions.",
)
