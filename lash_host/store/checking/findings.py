"""What a check has found so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import literal_column, select

from lash_host.contracts.maintenance import Progress
from lash_host.domain.maintenance import CheckProblem, CheckReport
from lash_host.store import schema
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of

__all__ = ["MOST_OF_A_KIND", "Findings", "ProblemKind"]

MOST_OF_A_KIND = 1_000
"""So many problems of one kind are told one by one."""

_sessions = rows_of(schema.sessions)
_NAMES = select(_sessions.c.session_key, _sessions.c.session_id, _sessions.c.head_revision > literal_column("0"))

ProblemKind = str


class Findings:
    """Problems, counts and progress of one check.

    Attributes:
        counts: How many there are of what `CheckReport` counts.
        names: The sessions' ids by their keys.
        referred_blobs: Blobs that must be there, each with one who refers to it: the session's key and how.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._problems: list[CheckProblem] = []
        self._kinds: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.names: Mapping[int, str] = {}
        self.referred_blobs: dict[str, tuple[int, str]] = {}

    def learn_sessions(self, transaction: Transaction) -> None:
        """Read which sessions there are."""
        rows = transaction.rows(_NAMES)
        self.names = {session_key: session_id for session_key, session_id, _ in rows}
        self.counts["sessions"] = sum(1 for row in rows if row[2])

    def problem(self, kind: ProblemKind, session_key: int | None, detail: str) -> None:
        """Take down a problem. Beyond `MOST_OF_A_KIND` they are only counted.

        Args:
            kind: A kind of `CheckProblem`.
            session_key: Where; None for what belongs to no session.
            detail: Exactly what.
        """
        self._kinds[kind] += 1
        if self._kinds[kind] <= MOST_OF_A_KIND:
            session_id = None if session_key is None else self.names.get(session_key, f"(session key {session_key})")
            self._problems.append(
                CheckProblem.model_validate({"kind": kind, "session_id": session_id, "detail": detail})
            )

    def tell(self, what: str, done: int, total: int) -> None:
        """Tell how far the check is."""
        if self._progress is not None:
            self._progress(what, min(done, total), total)

    def has(self, kind: ProblemKind) -> bool:
        """Whether a problem of a kind was found."""
        return self._kinds[kind] > 0

    def report(self) -> CheckReport:
        """Give what was found."""
        more = [
            CheckProblem.model_validate(
                {"kind": kind, "session_id": None, "detail": f"and {count - MOST_OF_A_KIND:,} more of this kind"}
            )
            for kind, count in self._kinds.items()
            if count > MOST_OF_A_KIND
        ]
        return CheckReport(
            sessions=self.counts["sessions"],
            commits=self.counts["commits"],
            nodes=self.counts["nodes"],
            blobs=self.counts["blobs"],
            attachments=self.counts["attachments"],
            unfolded_commits=self.counts["unfolded_commits"],
            problems=(*self._problems, *more),
        )
