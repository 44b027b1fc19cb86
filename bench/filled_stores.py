"""Stores of many sessions, made at once: rows inserted set by set below a store that is closed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.lash_commits import EVENTS, Session, frames
from lash_host.store import open_store
from lash_host.store.dialects import parse_store_url
from lash_host.store.dialects.duckdb import _attach
from lash_host.store.schema import SCHEMA

__all__ = ["Filling", "fill"]

_FIRST_US = 1_767_225_600_000_000
_TURN_US = 5_000_000
_KEYS = 1024
_TEMPLATE = "template"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What a store is filled with.

    Attributes:
        sessions: How many, named ``old-0`` and on.
        events: How many each has; a multiple of four.
        frames: How many agent frames each has, its events spread evenly over them.
    """

    sessions: int
    events: int
    frames: int = 1

    @property
    def turns(self) -> int:
        """How many turns a session has."""
        return self.events // EVENTS


def fill(path: Path, filling: Filling) -> None:
    """Make a store. One session is committed as ever; the others are made like it, with short texts."""
    store = open_store(path)
    template = Session(store, _TEMPLATE)
    template.frames = frames(filling.frames)
    template.commit(template.new_nodes(1, ["short"]))
    store.close()
    with duckdb.connect() as plain:
        plain.execute(_attach(parse_store_url(path)))
        plain.execute("USE lash_store")
        for table, select in _selects(filling).items():
            plain.execute(f"INSERT INTO {SCHEMA}.{table} BY NAME {select}")
        plain.execute("CHECKPOINT")


def _selects(filling: Filling) -> dict[str, str]:
    turns, events = filling.turns, filling.events
    session_us = f"({_FIRST_US} + {_TURN_US * turns} * (i // {turns}))"
    turn_key = f"(({_FIRST_US} + {_TURN_US} * i) * {_KEYS})"
    node_turn_key = f"(({_FIRST_US} + {_TURN_US} * (i // {EVENTS})) * {_KEYS})"
    number = f"i % {events}"
    all_turns, all_nodes = filling.sessions * turns, filling.sessions * events
    a_frame = -(-events // filling.frames)
    template = f"(FROM {SCHEMA}.sessions WHERE session_id = '{_TEMPLATE}')"
    key = f"{session_us} * {_KEYS} - 1 AS session_key"

    def like(table: str, replaced: str, rows: str) -> str:
        return (
            f"SELECT t.* REPLACE ({replaced}) FROM {rows}, {SCHEMA}.{table} AS t"
            f" WHERE t.session_key = (SELECT session_key FROM {template})"
        )

    per_turn, per_call = f"range({all_turns}) AS r(i)", f"range({2 * all_turns}) AS r(c)"
    return {
        "nodes": f"""
            SELECT ({_FIRST_US} + {_TURN_US * turns} * (i // {events})) * {_KEYS} - 1 AS session_key,
                {node_turn_key} + 4 + i % {EVENTS} AS node_key, 'n' || ({number}) AS node_id,
                CASE WHEN {number} > 0 THEN 'n' || ({number} - 1) END AS parent_node_id,
                's:frame:' || CASE WHEN {number} < {a_frame} THEN 'initial' ELSE CAST({number} // {a_frame} AS TEXT) END
                    AS frame_id,
                {_FIRST_US} + i AS created_at_us, 'message' AS kind,
                CASE WHEN i % 2 = 0 THEN 'user' ELSE 'assistant' END AS label,
                '{{"message_id":"n' || ({number}) || '","role":"'
                    || CASE WHEN i % 2 = 0 THEN 'user' ELSE 'assistant' END
                    || '","parts":[{{"kind":"text","text":"event ' || i || '"}}]}}' AS payload,
                FALSE AS tombstoned
            FROM range({all_nodes}) AS r(i)""",
        "turns": like(
            "turns",
            f"{key}, 't' || (i % {turns}) AS turn_id, i % {turns} + 1 AS turn_index, sha256(CAST(i AS TEXT))"
            " AS commit_hash",
            per_turn,
        ),
        "model_calls": like(
            "model_calls",
            f"({_FIRST_US} + {_TURN_US * turns} * (c // {2 * turns})) * {_KEYS} - 1 AS session_key,"
            f" ({_FIRST_US} + {_TURN_US} * (c // 2)) * {_KEYS} + 1 + c % 2 AS call_key,"
            f" 't' || (c // 2 % {turns}) || ':' || (c % 2 + 1) AS call_id, 't' || (c // 2 % {turns}) AS turn_id,"
            " c % 2 + 1 AS iteration",
            per_call,
        )
        + " AND t.iteration = 1",
        "tool_calls": like(
            "tool_calls",
            f"{key}, {turn_key} + 3 AS call_key, 't' || (i % {turns}) || ':c' AS call_id,"
            f" 't' || (i % {turns}) AS turn_id",
            per_turn,
        ),
        "commits": like(
            "commits",
            f"{key}, i % {turns} + 1 AS head_revision, {turn_key} AS first_key, {turn_key} + 7 AS last_key,"
            f" 't' || (i % {turns}) AS turn_id, {_FIRST_US} + {_TURN_US} * i AS committed_at_us,"
            " sha256('c' || i) AS content_hash, sha256('h' || i) AS chain_hash",
            per_turn,
        ),
        "sessions": f"""
            SELECT t.* REPLACE (
                ({_FIRST_US} + {_TURN_US * turns} * k) * {_KEYS} - 1 AS session_key, 'old-' || k AS session_id,
                'old-' || k AS root_session_id, {turns} AS turns, {turns} AS head_revision,
                'n{events - 1}' AS leaf_node_id, {events} AS live_nodes, 0 AS fencing_token,
                ({_FIRST_US} + {_TURN_US} * ({turns} * k + {a_frame * (filling.frames - 1) // EVENTS})) * {_KEYS}
                    AS frame_start_key,
                ({_FIRST_US} + {_TURN_US} * ({turns} * k + {turns} - 1)) * {_KEYS} + 7 AS last_key,
                sha256('h' || ({turns} * k + {turns} - 1)) AS chain_hash)
            FROM {template} AS t, range({filling.sessions}) AS r(k)""",
    }
