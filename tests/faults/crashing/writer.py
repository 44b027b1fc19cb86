"""One writer: some sessions of a store, what it does to them, and the note it makes of every answer."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

from crashing.model import Expected, Op
from crashing.plan import attachment_of, commit_parts, leaf_at, planned
from lash_host.contracts.store import SessionStore
from lash_host.domain.lease import LeaseAcquired, LeaseBusy, LeaseFence, LeaseOwner
from lash_host.domain.queue import QueuedWorkClaim
from lash_host.domain.turn_input import InputTarget, TurnInputClaim
from lash_host.store.liveness import current_process_identity
from lash_host.testing.conformance.drafts import command_draft, input_draft, wake_draft
from lash_host.testing.conformance.samples import TTL_MS, SampleSession, settling

__all__ = ["Notes", "Writer"]

_STEPS = ("commit",) * 11 + ("input",) * 3 + ("work",) * 3 + ("settle",) * 4 + ("cancel", "abandon")


class Notes:
    """An append-only file of what was begun and what was answered, written before anything else happens."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = itertools.count()
        self._process = os.getpid()

    @contextmanager
    def of(self, op: Op) -> Any:
        """Note that an operation begins, and that it was answered: unless it raised."""
        number = next(self._numbers)
        self.write({"begun": number, **op})
        yield
        self.write({"answered": number, "process": self._process})

    def write(self, record: dict[str, Any]) -> None:
        """Write a line."""
        os.write(self._file, (json.dumps(record) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class _Session(SampleSession):
    """A session whose owner can be proved dead, and which takes over from one that is."""

    def __init__(self, store: SessionStore, session_id: str, granted: Callable[[Op], None]) -> None:
        super().__init__(store, session_id)
        process = current_process_identity()
        self.owner = LeaseOwner(owner_id=session_id, incarnation_id=f"{process.pid}", process=process)
        self._granted = granted

    def claim(self) -> LeaseFence:
        """Take the session's lease at once, whoever had it before."""
        claimed = self.store.claim_lease(self.session_id, self.owner, ttl_ms=TTL_MS)
        if isinstance(claimed, LeaseBusy):
            claimed = self.store.reclaim_lease(self.session_id, self.owner, observed=claimed.holder, ttl_ms=TTL_MS)
        assert isinstance(claimed, LeaseAcquired), claimed
        token = claimed.lease.fence.fencing_token
        self._granted({"op": "lease", "session": self.session_id, "token": token, "kind": claimed.kind})
        return claimed.lease.fence


class Writer:
    """Does one thing after another to some sessions that no other writer uses."""

    def __init__(
        self, store: SessionStore, session_ids: list[str], *, expected: Expected, notes: Notes, seed: object
    ) -> None:
        self._store, self._expected, self._notes = store, expected, notes
        self._chance = random.Random(f"{seed}/{session_ids}")  # noqa: S311 - no secret
        self._sessions = {session_id: _Session(store, session_id, self._granted) for session_id in session_ids}

    def step(self) -> None:
        """Do something to one of the sessions."""
        session = self._sessions[self._chance.choice(list(self._sessions))]
        getattr(self, self._chance.choice(_STEPS))(session)

    def commit(self, session: _Session, *claims: QueuedWorkClaim | TurnInputClaim) -> None:
        """Commit the turn that is next, and settle claims with it."""
        known = self._expected.of(session.session_id)
        plan = planned(session.session_id, known.revision + 1)
        if plan.has_attachment:
            with self._noted(session, "attach", revision=plan.revision):
                self._store.put_attachment(session.session_id, attachment_of(plan), media_type="text/plain")
        leaf = leaf_at(session.session_id, known.revision)
        parts = {**commit_parts(plan, frame_id=session.frame.frame_id), **settling(claims)}
        turn = session.turn(plan.turn_id, *plan.node_ids, after=leaf, **parts)
        inputs = [
            pending.source_key for claim in claims if isinstance(claim, TurnInputClaim) for pending in claim.inputs
        ]
        work = [batch.source_key for claim in claims if isinstance(claim, QueuedWorkClaim) for batch in claim.batches]
        with self._noted(session, "commit", revision=plan.revision, inputs=inputs, work=work):
            result = self._store.commit(turn)
        assert result.head_revision == plan.revision

    def input(self, session: _Session) -> None:
        """Enqueue an input for the next turn; now and then the same one twice."""
        key = f"{session.session_id}.i{self._expected.of(session.session_id).made}"
        draft = input_draft(session.session_id, f"text of {key}", source_key=key)
        with self._noted(session, "input", key=key):
            first = self._store.enqueue_turn_input(draft)
        if self._chance.random() < 0.2:
            assert self._store.enqueue_turn_input(draft) == first

    def work(self, session: _Session) -> None:
        """Enqueue a process wake or a session command."""
        number = self._expected.of(session.session_id).made
        draft = (
            wake_draft(session.session_id, number)
            if self._chance.random() < 0.6
            else command_draft(session.session_id, f"{number}")
        )
        with self._noted(session, "work", key=draft.source_key):
            self._store.enqueue_queued_work(draft)

    def settle(self, session: _Session) -> None:
        """Claim what waits, and settle it with a commit."""
        self.commit(session, *self._claims(session))

    def abandon(self, session: _Session) -> None:
        """Claim what waits, and give it back."""
        for claim in self._claims(session):
            if isinstance(claim, TurnInputClaim):
                self._store.abandon_turn_input_claim(claim)
            else:
                self._store.abandon_queued_work_claim(claim)

    def cancel(self, session: _Session) -> None:
        """Cancel an input and a batch that wait."""
        known = self._expected.of(session.session_id)
        waiting = [key for key, state in known.inputs.items() if state == "open"]
        if waiting:
            key = self._chance.choice(waiting)
            with self._noted(session, "cancel_input", key=key):
                cancelled = self._store.cancel_turn_inputs(session.session_id, [InputTarget(source_key=key)])
            assert [result.outcome.kind for result in cancelled] == ["cancelled"]
        queued = self._store.list_queued_work(session.session_id)
        assert [batch.source_key for batch in queued] == known.work
        if queued:
            with self._noted(session, "cancel_work", key=queued[-1].source_key):
                gone = self._store.cancel_queued_work_batch(session.session_id, queued[-1].batch_id)
            assert gone is not None

    def go_on(self) -> None:
        """Take over every session at once: claim what waits in it, in order, and settle that with a commit."""
        for session in self._sessions.values():
            self.settle(session)

    def _claims(self, session: _Session) -> list[QueuedWorkClaim | TurnInputClaim]:
        """Claim inputs, and the work at the head of the queue: what is known to wait must be there to claim."""
        known, fence = self._expected.of(session.session_id), session.claim()
        inputs = self._store.claim_next_turn_inputs(session.session_id, fence, session.owner, ttl_ms=TTL_MS, limit=3)
        waiting = [key for key, state in known.inputs.items() if state == "open"]
        assert [one.source_key for one in (inputs.inputs if inputs else ())] == waiting[:3]
        work = session.claim_command() or session.claim_work(limit=1)
        assert [batch.source_key for batch in (work.batches if work else ())] == known.work[:1]
        if inputs is not None:
            self._claimed(session, waiting[0], inputs.claim.fencing_token)
        if work is not None:
            self._claimed(session, known.work[0], work.claim.fencing_token)
        return [claim for claim in (inputs, work) if claim is not None]

    def _claimed(self, session: _Session, key: str, token: int) -> None:
        self._granted({"op": "claim", "session": session.session_id, "key": key, "token": token})

    def _granted(self, op: Op) -> None:
        with self._notes.of(op):
            pass
        self._apply(op)

    @contextmanager
    def _noted(self, session: _Session, name: str, **facts: object) -> Any:
        op = {"op": name, "session": session.session_id, **facts}
        with self._notes.of(op):
            yield
        self._apply(op)

    def _apply(self, op: Op) -> None:
        problem = self._expected.apply(op)
        assert problem is None, problem
