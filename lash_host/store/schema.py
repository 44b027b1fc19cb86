"""The tables of the store, declared once for every dialect.

Keys (`session_key`, `node_key`, `call_key`) are 64-bit and grow with time: a session's rows lie close together and are
found by the minimum and maximum of each stretch of rows, without an index. There are no foreign keys: what belongs
together is written and deleted together. Times are UTC microseconds, durations milliseconds.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import BigInteger, Boolean, Column, Double, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text

__all__ = [
    "ROWS_SCHEMA",
    "SCHEMA",
    "SESSION_NAMES",
    "attachments",
    "blobs",
    "column_names",
    "commit_log",
    "commit_log_next",
    "commits",
    "hook_calls",
    "meta",
    "metadata",
    "model_calls",
    "nodes",
    "plugins_seen",
    "queued_work",
    "receipts",
    "rows_of",
    "sessions",
    "tool_calls",
    "turn_inputs",
    "turns",
]

SCHEMA = "lash_tables"
"""Where the tables are. Not ``lash``: DuckDB names a database after its file, and in ``lash.duckdb`` a name that begins
with ``lash.`` would be ambiguous, inside views too."""

SESSION_NAMES = "session_names"
"""A further view in `ROWS_SCHEMA`: `session_key` and `session_id` of every session, cheaper than all of their rows."""

ROWS_SCHEMA = "lash_rows"
"""One view a table, of the same name and columns: every committed row, whether or not the log was folded yet."""

metadata = MetaData(schema=SCHEMA)


def _claim_columns() -> tuple[Column[int] | Column[str], ...]:
    """Give the columns of `ClaimRow`."""
    return (
        Column("claim_fencing_token", BigInteger, nullable=False, comment="Grows with every claim."),
        Column("claim_id", Text),
        Column("claim_token", Text, comment="Null: nobody has claimed it."),
        Column("claim_owner", Text, comment="JSON LeaseOwner."),
        Column("claimed_at_ms", BigInteger, nullable=False),
        Column("claim_expires_at_ms", BigInteger, nullable=False),
    )


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
    Column("frames", Text, comment="JSON array of AgentFrame, oldest first, without what one has of the one before."),
    Column("policy", Text, comment="JSON SessionPolicy."),
    Column("checkpoint", Text, comment="JSON CheckpointManifest."),
    Column("checkpoint_ref", Text, comment="SHA-256 of `checkpoint`, hex."),
    Column("fencing_token", BigInteger, nullable=False, comment="No holder of the lease was given a greater one."),
    Column("lease_token", Text, comment="Null: nobody holds the lease."),
    Column("lease_owner", Text, comment="JSON LeaseOwner."),
    Column("lease_claimed_at_ms", BigInteger, nullable=False),
    Column("lease_expires_at_ms", BigInteger, nullable=False),
    Column("meta", Text, comment="JSON SessionMeta; null when there are none."),
    Column("last_key", BigInteger, nullable=False, comment="The greatest key given to a row of this session."),
    Column("replaced_before_key", BigInteger, nullable=False, comment="Nodes with a smaller key count as tombstoned."),
    Column("chain_hash", Text, comment="`commits.chain_hash` of the latest commit."),
    Column("ledger", Text, comment="JSON: sums of its model calls by source and model; null: to be added up of them."),
    comment="One row a session. It holds the lease too, so that a commit that releases it updates one row.",
)

commits = Table(
    "commits",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("head_revision", BigInteger, nullable=False),
    Column("first_key", BigInteger, nullable=False, comment="Keys of the commit's rows lie from here"),
    Column("last_key", BigInteger, nullable=False, comment="to here, both included."),
    Column("turn_id", Text, comment="Key of the commit's row in `turns`, where it has one."),
    Column("committed_at_us", BigInteger, nullable=False),
    Column("content_hash", Text, nullable=False, comment="SHA-256 over the rows of the commit; see `chain`."),
    Column("chain_hash", Text, nullable=False, comment="SHA-256 over the chain hash before it and `content_hash`."),
    Column("is_pruned", Boolean, nullable=False, comment="Some of its rows were removed since."),
    comment="One row a commit of a session's head. The chain shows that no commit was changed or left out.",
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

turn_inputs = Table(
    "turn_inputs",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("input_id", Text, nullable=False),
    Column("enqueue_seq", BigInteger, nullable=False),
    Column("source_key", Text),
    Column("ingress", Text, nullable=False, comment="JSON TurnInputIngress: where it goes now."),
    Column("submitted_ingress", Text, nullable=False, comment="JSON TurnInputIngress: where it was to go."),
    Column("state", Text, nullable=False),
    Column("enqueued_at_ms", BigInteger, nullable=False),
    Column("settled_at_us", BigInteger, comment="When it was cancelled or completed."),
    Column("input", Text, nullable=False, comment="JSON TurnInput."),
    *_claim_columns(),
    PrimaryKeyConstraint("session_key", "input_id"),
    comment="Pending turn input. Settled rows keep their source key occupied until they are vacuumed.",
)

queued_work = Table(
    "queued_work",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("enqueue_seq", BigInteger, nullable=False),
    Column("source_key", Text),
    Column("work_class", Text, nullable=False),
    Column("delivery_policy", Text, nullable=False),
    Column("slot_policy", Text, nullable=False),
    Column("merge_key", Text, nullable=False, comment="JSON MergeKey."),
    Column("available_at_ms", BigInteger, nullable=False),
    Column("enqueued_at_ms", BigInteger, nullable=False),
    Column("items", Text, nullable=False, comment="JSON array of QueuedWorkItem."),
    *_claim_columns(),
    PrimaryKeyConstraint("session_key", "batch_id"),
    comment="Queued work that was neither completed nor cancelled.",
)

receipts = Table(
    "receipts",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("source_key", Text, nullable=False),
    Column("batch", Text, nullable=False, comment="JSON QueuedWorkBatch, with when it was completed."),
    Column("completed_at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("session_key", "source_key"),
    comment="Session commands that were carried out: what a repeated submission is answered with.",
)

attachments = Table(
    "attachments",
    metadata,
    Column("session_key", BigInteger, nullable=False),
    Column("attachment_id", Text, nullable=False, comment="SHA-256 of the bytes, hex."),
    Column("media_type", Text, nullable=False),
    Column("label", Text),
    Column("size_bytes", BigInteger, nullable=False),
    Column("intent_at_us", BigInteger, nullable=False),
    Column("committed_at_us", BigInteger, comment="Null until a commit names it."),
    PrimaryKeyConstraint("session_key", "attachment_id"),
    comment="Which sessions refer to which attachments.",
)

commit_log = Table(
    "commit_log",
    metadata,
    Column("entry_key", BigInteger, nullable=False, comment="Order of commitment."),
    Column("session_key", BigInteger, nullable=False),
    Column("state", Text, comment="JSON: rows of state tables as they are now, and keys of removed ones."),
    Column("facts", Text, comment="JSON: rows added to turns, calls and commits."),
    Column("nodes", Text, comment="JSON: rows added to nodes."),
    comment="Where one process owns the database: what was committed and not folded into the other tables yet.",
)

commit_log_next = commit_log.to_metadata(MetaData(schema=SCHEMA), name="commit_log_next")
"""A second log like the first. They take turns: a checkpoint writes rows that were removed if others among them were
not, so one is emptied while the other is written to. `lash_rows.commit_log` is both."""


@cache
def column_names(table: Table) -> tuple[str, ...]:
    """Give the names of a table's columns, in its order, as plain strings."""
    return tuple(str(name) for name in table.columns.keys())  # noqa: SIM118 - the collection iterates columns


_ROWS = MetaData(schema=ROWS_SCHEMA)
_rows_of = {table: table.to_metadata(_ROWS, schema=ROWS_SCHEMA) for table in metadata.sorted_tables}


def rows_of(table: Table) -> Table:
    """Give the view over every committed row of a table, with the table's columns."""
    return _rows_of[table]
