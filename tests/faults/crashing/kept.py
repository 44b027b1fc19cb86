"""What must be in a store that is looked after while it is written to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from crashing.model import Expected, Op, SessionExpected
from crashing.plan import attachment_of, live_nodes_at, planned
from crashing.verify import Rows, facts_of, ids_of
from lash_host.domain.commit import content_ref

__all__ = ["Kept", "blobs_of", "dead_nodes", "settled_inputs", "tool_state_ref"]

_SETTLED = {"completed", "cancelled"}


@dataclass(slots=True)
class Kept:
    """What is expected, and what upkeep has taken away.

    Attributes:
        old: Sessions whose every time is long ago. One thread alone uses and keeps them.
        expected: What would be there without upkeep, deleted sessions aside.
        hidden: Nodes that were tombstoned, by session.
        gone: Nodes and inputs that were removed for good, by session.
        blobs: The blobs that were ever committed, with the session that did.
        gone_blobs: Those of them that were collected, and not committed again since.
    """

    old: list[str]
    expected: Expected = field(default_factory=Expected)
    hidden: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    blobs: dict[str, str] = field(default_factory=dict)
    gone_blobs: list[str] = field(default_factory=list)

    def dump(self) -> dict[str, Any]:
        """Give everything as JSON can hold it."""
        return {**asdict(self), "expected": self.expected.dump()}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Kept:
        """Take back what `dump` gave."""
        return cls(**{**dumped, "expected": Expected.load(dumped["expected"])})

    def waits(self, session_id: str) -> bool:
        """Whether a session has input or work that nobody has dealt with."""
        session = self.expected.of(session_id)
        return bool(session.work) or "open" in session.inputs.values()

    def outdated(self) -> list[str]:
        """Give the sessions that retention removes."""
        return [one for one in self.old if self.expected.of(one).revision and not self.waits(one)]

    def visible(self, session_id: str) -> list[str]:
        """Give the nodes of a session that reads show."""
        hidden = self.hidden.get(session_id, [])
        return [one for one in live_nodes_at(session_id, self.expected.of(session_id).revision) if one not in hidden]

    def begin(self, op: Op) -> Op:
        """Add to an upkeep that begins what it must remove for certain: of all that was acknowledged by now."""
        if op["op"] == "vacuum":
            op["gone"] = {
                session_id: [one for one in self.removable(session_id) if one not in self.gone.get(session_id, [])]
                for session_id in self.expected.sessions
            }
        elif op["op"] == "gc":
            op["blobs"] = sorted(self.blobs.keys() - self.referred_blobs() - set(self.gone_blobs))
        return op

    def removable(self, session_id: str) -> list[str]:
        """Give the nodes and inputs of a session that a vacuum removes."""
        return [*dead_nodes(self, session_id), *settled_inputs(self.expected.of(session_id))]

    def referred_blobs(self) -> set[str]:
        """Give the blobs that checkpoints refer to."""
        refs = {tool_state_ref(one, session.revision) for one, session in self.expected.sessions.items()}
        return {ref for ref in refs if ref is not None}

    def apply(self, op: Op) -> str | None:
        """Take in an operation that landed; give what is wrong with it, if anything is."""
        match op["op"]:
            case "delete":
                self._drop(op["session"])
            case "tombstone":
                self.hidden.setdefault(op["session"], []).extend(op["ids"])
            case "vacuum":
                for session_id, gone in op.get("gone", {}).items():
                    self.gone.setdefault(session_id, []).extend(gone)
            case "gc":
                self.gone_blobs += op.get("blobs", ())
            case "retention":
                self.retain_sessions(op)
                self.retain_receipts()
                self.retain_inputs()
            case "reclaim":
                for session_id in self.old:
                    self.forget_intents(session_id)
            case _:
                return self._written(op)
        return None

    def retain_sessions(self, op: Op) -> None:
        """Take in that retention removed sessions."""
        for session_id in op["sessions"]:
            self._drop(session_id)

    def retain_receipts(self) -> None:
        """Take in that retention removed receipts."""
        for session_id in self.old:
            self.expected.of(session_id).receipts.clear()

    def retain_inputs(self) -> None:
        """Take in that retention removed settled inputs."""
        for session_id in self.old:
            known = self.gone.setdefault(session_id, [])
            known += [key for key in settled_inputs(self.expected.of(session_id)) if key not in known]

    def forget_intents(self, session_id: str) -> None:
        """Take in that references were forgotten that no commit named."""
        session = self.expected.of(session_id)
        session.attachments = {number: named for number, named in session.attachments.items() if named}

    def _drop(self, session_id: str) -> None:
        self.expected.sessions[session_id] = SessionExpected()
        self.hidden.pop(session_id, None)
        self.gone.pop(session_id, None)

    def _written(self, op: Op) -> str | None:
        if op["op"] == "commit":
            refs = blobs_of(op["session"], op["revision"])
            self.blobs.update(dict.fromkeys(refs, op["session"]))
            self.gone_blobs = [ref for ref in self.gone_blobs if ref not in refs]
        return self.expected.apply(op)

    def land(self, op: Op, rows: Rows) -> None:
        """Find out how much of an upkeep that was never answered has landed, by a trace of each of its transactions."""
        facts = facts_of(rows)

        def lacks(session_id: str, name: str, wanted: Iterable[Any]) -> bool:
            there = facts.get(session_id)
            return bool(set(wanted) - set(there.get(name) if there is not None else ()))

        match op["op"]:
            case "delete":
                landed = op["session"] not in facts
            case "tombstone":
                landed = lacks(op["session"], "live", op["ids"])
            case "vacuum":
                missing = {
                    session_id: set(gone)
                    - {*_column(facts, session_id, "nodes"), *_column(facts, session_id, "inputs")}
                    for session_id, gone in op["gone"].items()
                }
                landed = self._has_removed(
                    {(one, item) for one, gone in op["gone"].items() for item in gone},
                    {(one, item) for one, gone in missing.items() for item in gone},
                )
            case "gc":
                wanted = {(self.blobs[ref], ref) for ref in op["blobs"]}
                landed = self._has_removed(wanted, wanted - {(self.blobs.get(row[0]), row[0]) for row in rows["blobs"]})
            case "retention":
                if any(session_id not in facts for session_id in op["sessions"]):
                    self.retain_sessions(op)
                if any(lacks(one, "receipts", self.expected.of(one).receipts) for one in self.old):
                    self.retain_receipts()
                if any(self._lacks_inputs(one, facts) for one in self.old):
                    self.retain_inputs()
                return
            case _:
                for one in self.old:
                    if lacks(one, "attachments", attachment_ids(one, self.expected.of(one))):
                        self.forget_intents(one)
                return
        if landed:
            self.apply(op)

    def _has_removed(self, wanted: set[tuple[str, str]], missing: set[tuple[str, str]]) -> bool:
        """Tell whether an upkeep has landed that was to remove something of sessions.

        What other threads left while an earlier one ran may have gone with that one. So the sessions of long ago tell,
        or, where it was to remove nothing of them, all others together.
        """
        certain = {(session_id, item) for session_id, item in wanted if session_id in self.old}
        return bool(certain & missing) if certain else bool(wanted) and wanted == missing

    def _lacks_inputs(self, session_id: str, facts: Any) -> bool:
        settled = set(settled_inputs(self.expected.of(session_id))) - set(self.gone.get(session_id, []))
        return bool(settled - set(_column(facts, session_id, "inputs")))


def _column(facts: Any, session_id: str, name: str) -> list[Any]:
    there = facts.get(session_id)
    return [] if there is None else list(there.get(name))


def dead_nodes(kept: Kept, session_id: str) -> list[str]:
    """Give the nodes of a session that were replaced or hidden."""
    revision = kept.expected.of(session_id).revision
    live = set(kept.visible(session_id))
    return [node_id for node_id in ids_of(session_id, revision, lambda plan: plan.node_ids) if node_id not in live]


def settled_inputs(session: SessionExpected) -> list[str]:
    """Give the inputs that nobody decides on any more."""
    return [key for key, state in session.inputs.items() if state in _SETTLED]


def blobs_of(session_id: str, revision: int) -> list[str]:
    """Give the blobs that a commit brings."""
    plan = planned(session_id, revision)
    return [content_ref(body) for body in (plan.blob, plan.tool_state) if body is not None]


def tool_state_ref(session_id: str, revision: int) -> str | None:
    """Give the blob that a session's checkpoint refers to at a revision."""
    for earlier in range(revision, 0, -1):
        if (state := planned(session_id, earlier).tool_state) is not None:
            return content_ref(state)
    return None


def attachment_ids(session_id: str, session: SessionExpected) -> list[str]:
    """Give the ids of a session's attachments."""
    return [content_ref(attachment_of(planned(session_id, int(number)))) for number in session.attachments]
