"""What must be in the store: kept by whoever writes to it, and by whoever checks what a crash left of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from crashing.plan import planned

__all__ = ["Expected", "Op", "SessionExpected"]

Op = dict[str, Any]
"""An operation as it is written down: ``op`` says which, ``session`` where, the rest is its own."""


@dataclass(slots=True)
class SessionExpected:
    """What one session must hold. Inputs, batches and receipts go by their source keys, in order.

    Attributes:
        revision: How many commits landed.
        inputs: Each input as ``open``, ``completed`` or ``cancelled``.
        work: Batches that are queued.
        receipts: Commands that were carried out.
        attachments: Attachments by the revision that they belong to; whether a commit has named them.
        fencing_token: The greatest that was granted for the session's lease.
        claims: The greatest fencing token granted for a claim that began with this input or batch.
        made: How many inputs and batches were ever asked for.
    """

    revision: int = 0
    inputs: dict[str, str] = field(default_factory=dict)
    work: list[str] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    attachments: dict[str, bool] = field(default_factory=dict)
    fencing_token: int = 0
    claims: dict[str, int] = field(default_factory=dict)
    made: int = 0

    def apply(self, op: Op) -> str | None:
        """Take in an operation that landed; give what is wrong with it, if anything is."""
        match op["op"]:
            case "lease":
                return self._lease(op)
            case "claim":
                return self._claim(op)
            case "input":
                self.inputs[op["key"]] = "open"
            case "work":
                self.work.append(op["key"])
            case "cancel_input":
                self.inputs[op["key"]] = "cancelled"
            case "cancel_work":
                self.work.remove(op["key"])
            case "attach":
                self.attachments.setdefault(str(op["revision"]), False)
            case "commit":
                return self._commit(op)
            case other:
                raise AssertionError(other)
        self.made += op["op"] in {"input", "work"}
        return None

    def _lease(self, op: Op) -> str | None:
        before, self.fencing_token = self.fencing_token, op["token"]
        grew = op["token"] == before if op["kind"] == "reentry" else op["token"] > before
        return None if grew else f"fencing token {op['token']} ({op['kind']}) was granted after {before}"

    def _claim(self, op: Op) -> str | None:
        before, self.claims[op["key"]] = self.claims.get(op["key"], 0), op["token"]
        return None if op["token"] > before else f"a claim of {op['key']} had token {op['token']} after {before}"

    def _commit(self, op: Op) -> str | None:
        before, self.revision = self.revision, op["revision"]
        for key in op["inputs"]:
            self.inputs[key] = "completed"
        for key in op["work"]:
            self.work.remove(key)
        self.receipts += [key for key in op["work"] if key.startswith("command:")]
        if planned(op["session"], op["revision"]).has_attachment:
            self.attachments[str(op["revision"])] = True
        return None if op["revision"] == before + 1 else f"revision {op['revision']} was acknowledged after {before}"


@dataclass(slots=True)
class Expected:
    """What the whole store must hold."""

    sessions: dict[str, SessionExpected] = field(default_factory=dict)

    def of(self, session_id: str) -> SessionExpected:
        """Give what is expected of a session."""
        return self.sessions.setdefault(session_id, SessionExpected())

    def apply(self, op: Op) -> str | None:
        """Take in an operation that landed."""
        problem = self.of(op["session"]).apply(op)
        return None if problem is None else f"{op['session']}: {problem}"

    def dump(self) -> dict[str, Any]:
        """Give everything as JSON can hold it."""
        return {session_id: asdict(session) for session_id, session in self.sessions.items()}

    @classmethod
    def load(cls, dumped: dict[str, Any]) -> Expected:
        """Take back what `dump` gave."""
        return cls({session_id: SessionExpected(**session) for session_id, session in dumped.items()})
