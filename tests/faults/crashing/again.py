"""Doing upkeep where nobody else is about: what it must report can be told from the rows beforehand."""

from __future__ import annotations

from typing import Any

from crashing.keeper import GRACE_MS, RETENTION
from crashing.kept import Kept
from crashing.kept_rows import problems_of_kept, rows_of_store
from crashing.model import Op
from crashing.verify import Problem, Rows, facts_of
from lash_host.contracts.store import SessionStore

__all__ = ["problems_of_repeating", "some"]


def some(kept: Kept, name: str) -> Op:
    """Make an upkeep of this name."""
    session_id = kept.old[0]
    return {"op": name, "session": session_id, "ids": kept.visible(session_id)[:-1][:2]}


def problems_of_repeating(store: SessionStore, kept: Kept, op: Op, rows: Rows) -> list[Problem]:
    """Do an upkeep twice: the first does what is left to do, the second nothing, and each reports that."""
    found = []
    for is_first in (True, False):
        if op["op"] == "retention":
            op = {**op, "sessions": kept.outdated()}
        due = _due(store, rows, kept, op)
        reported = _done(store, op)
        if reported != due:
            found.append(Problem("report", f"{op}: {reported}, not {due}"))
        if not is_first and any(reported):
            found.append(Problem("report", f"{op}: there was something left to do: {reported}"))
        kept.apply(kept.begin({**op, "ids": [one for one in op.get("ids", []) if one in kept.visible(op["session"])]}))
        if is_first:
            rows = rows_of_store(store, "lash_tables")
            found += problems_of_kept(rows, kept, where="looked after")
    return found


def _due(store: SessionStore, rows: Rows, kept: Kept, op: Op) -> tuple[Any, ...]:
    """Tell from the rows what an upkeep must report."""
    facts = facts_of(rows)
    match op["op"]:
        case "delete":
            there = facts.get(op["session"])
            if there is None:
                return False, 0, 0, 0
            names = ("nodes", "turns", "inputs")
            return there.revision > 0, *(len(there.get(name)) for name in names)
        case "tombstone":
            return (len(set(op["ids"]) & set(kept.visible(op["session"]))),)
        case "vacuum":
            dead = sum(len(there.get("nodes")) - len(there.get("live")) for there in facts.values())
            states = [state for there in facts.values() for state in there.get("inputs", 1)]
            return dead, sum(state in {"completed", "cancelled"} for state in states)
        case "gc":
            return (len({row[0] for row in rows["blobs"]} - kept.referred_blobs()),)
        case "retention":
            left = [facts[one] for one in kept.old if one in facts and one not in op["sessions"]]
            settled = [state in {"completed", "cancelled"} for there in left for state in there.get("inputs", 1)]
            return sorted(op["sessions"]), sum(len(there.get("receipts")) for there in left), sum(settled)
        case _:
            refs = [(one, *ref) for one, there in facts.items()
                    for ref in zip(there.get("attachments"), there.get("attachments", 1), strict=True)]  # fmt: skip
            aged = [ref for ref in refs if ref[0] in kept.old and not ref[2]]
            referred = {ref[1] for ref in refs if ref not in aged}
            return len(set(store.stored_attachment_ids()) - referred), len(aged)


def _done(store: SessionStore, op: Op) -> tuple[Any, ...]:
    """Do an upkeep; give the parts of its report that `_due` tells."""
    match op["op"]:
        case "delete":
            deleted = store.delete_session(op["session"])
            return deleted.existed, deleted.nodes, deleted.turns, deleted.turn_inputs
        case "tombstone":
            return (store.tombstone_nodes(op["session"], op["ids"]),)
        case "vacuum":
            vacuumed = store.vacuum()
            return vacuumed.removed_nodes, vacuumed.removed_turn_inputs
        case "gc":
            return (store.collect_garbage().deleted,)
        case "retention":
            retained = store.apply_retention(RETENTION)
            return sorted(retained.sessions), retained.receipts, retained.turn_inputs
        case _:
            reclaimed = store.reclaim_attachments(grace_ms=GRACE_MS)
            assert not reclaimed.failures
            return reclaimed.reclaimed, reclaimed.forgotten_intents
