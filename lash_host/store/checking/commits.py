"""Checking the chain of each session's commits against the rows that they added."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, exists, func, literal_column, select

from lash_host.store import schema
from lash_host.store.chain import chain_hash, commit_content
from lash_host.store.checking.findings import MOST_OF_A_KIND, Findings
from lash_host.store.database import Transaction
from lash_host.store.schema import rows_of
from lash_host.store.spans import ROWS_A_SPAN, rows_in, spans

__all__ = ["check_commits"]

Row = tuple[Any, ...]

_commits, _sessions = rows_of(schema.commits), rows_of(schema.sessions)
_KEYED = tuple((table.name, rows_of(table)) for table in (schema.nodes, schema.model_calls, schema.tool_calls))
_BY_TURN = tuple((table.name, rows_of(table)) for table in (schema.turns, schema.hook_calls))
_COUNT = select(func.count()).select_from(_commits)
_HEADS = select(_sessions.c.session_key, _sessions.c.head_revision, _sessions.c.chain_hash).where(
    _sessions.c.head_revision > literal_column("0")
)


def _keyed(table: Table) -> Select[Any]:
    key = table.c.node_key if "node_key" in table.c else table.c.call_key
    return select(table).where(
        table.c.session_key >= bindparam("first_session"),
        table.c.session_key <= bindparam("last_session"),
        key >= bindparam("first_key"),
        key <= bindparam("last_key"),
    )


def _by_turn(table: Table) -> Select[Any]:
    same = (_commits.c.session_key == table.c.session_key) & (_commits.c.turn_id == table.c.turn_id)
    return (
        select(_commits.c.head_revision, *table.columns)
        .join_from(table, _commits, same)
        .where(
            *(column >= bindparam("first_session") for column in (table.c.session_key, _commits.c.session_key)),
            *(column <= bindparam("last_session") for column in (table.c.session_key, _commits.c.session_key)),
            _commits.c.head_revision >= bindparam("first_revision"),
            _commits.c.head_revision <= bindparam("last_revision"),
        )
    )


def _stray_turns() -> Select[Any]:
    """Turns that no commit names, of sessions whose commits were all recorded."""
    turns = rows_of(schema.turns)
    its_commit = exists().where(_commits.c.session_key == turns.c.session_key, _commits.c.turn_id == turns.c.turn_id)
    first = _commits.alias("first")
    is_first = first.c.head_revision == literal_column("1")
    is_recorded = exists().where(first.c.session_key == turns.c.session_key, is_first)
    return select(turns.c.session_key, turns.c.turn_id).where(is_recorded, ~its_commit).limit(_LIMIT)


_LIMIT: ColumnElement[int] = literal_column(str(MOST_OF_A_KIND + 1))
_STRAY_TURNS = _stray_turns()
_READ_KEYED = {name: _keyed(table) for name, table in _KEYED}
_READ_BY_TURN = {name: _by_turn(table) for name, table in _BY_TURN}


@dataclass(frozen=True, slots=True)
class _Commit:
    """A row of `commits`."""

    session_key: int
    head_revision: int
    first_key: int
    last_key: int
    turn_id: str | None
    committed_at_us: int
    content_hash: str
    chain_hash: str
    is_pruned: bool


@dataclass(slots=True)
class _Group:
    """Neighbouring commits whose rows are read together: of whole sessions, or a run of one session's.

    Attributes:
        commits: In order.
        rows: How many rows they have.
        covers_from: For a run that is not a session's first: the key after the run before, so that nothing between
            the two is overlooked.
    """

    commits: list[_Commit] = field(default_factory=list)
    rows: int = 0
    covers_from: int | None = None

    def add(self, commits: Sequence[_Commit]) -> None:
        """Take in commits."""
        self.commits += commits
        self.rows += _rows_of(commits)

    @property
    def bounds(self) -> dict[str, int]:
        """The parameters of the statements that read its rows."""
        first, last = self.commits[0], self.commits[-1]
        is_one = first.session_key == last.session_key
        starts = (commit.first_key for commit in self.commits)
        return {
            "first_session": first.session_key,
            "last_session": last.session_key,
            "first_key": min(starts) if self.covers_from is None else self.covers_from,
            "last_key": max(commit.last_key for commit in self.commits),
            "first_revision": first.head_revision if is_one else 0,
            "last_revision": max(commit.head_revision for commit in self.commits),
        }


def check_commits(transaction: Transaction, findings: Findings) -> None:
    """Check that no recorded commit of a session is missing, was changed, or has lost or gained rows.

    The record of a session that is older than it begins with the first commit that was recorded.
    """
    total = findings.counts["commits"] = transaction.rows(_COUNT)[0][0]
    heads = {session_key: (revision, chain) for session_key, revision, chain in transaction.rows(_HEADS)}
    done, previous = 0, None
    for group in _groups(transaction):
        for commit in group.commits:
            if previous is not None and previous.session_key != commit.session_key:
                _check_end(findings, previous, heads.pop(previous.session_key, None))
                previous = None
            _check_link(findings, previous, commit)
            previous = commit
        _check_contents(transaction, findings, group)
        done += len(group.commits)
        findings.tell("commits", done, total)
    if previous is not None:
        _check_end(findings, previous, heads.pop(previous.session_key, None))
    for session_key, (revision, chain) in heads.items():
        if chain is not None:
            findings.problem("commit_gap", session_key, f"it is at revision {revision}, and no commit is recorded")
    for session_key, turn_id in transaction.rows(_STRAY_TURNS):
        findings.problem("commit_content", session_key, f"turn {turn_id!r} came with no recorded commit")


def _groups(transaction: Transaction) -> Iterator[_Group]:
    """Cut all commits into groups of bounded size, in order."""
    whole, before = _Group(), None
    for span in spans(transaction, _commits):
        commits = (_Commit(*values) for values in rows_in(transaction, _commits, span))
        is_part = span.after is not None or span.until is not None
        for session_key, found in groupby(commits, key=lambda commit: commit.session_key):
            its = list(found)
            is_large = is_part or _rows_of(its) > ROWS_A_SPAN
            if whole.commits and (is_large or whole.rows + _rows_of(its) > ROWS_A_SPAN):
                yield whole
                whole = _Group()
            if not is_large:
                whole.add(its)
                continue
            goes_on = before is not None and before.session_key == session_key
            yield from _runs(its, covers_from=before.last_key + 1 if goes_on and before is not None else None)
            before = its[-1]
    if whole.commits:
        yield whole


def _runs(commits: Sequence[_Commit], *, covers_from: int | None) -> Iterator[_Group]:
    run = _Group(covers_from=covers_from)
    for commit in commits:
        if run.commits and run.rows + _rows_of([commit]) > ROWS_A_SPAN:
            yield run
            run = _Group(covers_from=run.commits[-1].last_key + 1)
        run.add([commit])
    yield run


def _rows_of(commits: Sequence[_Commit]) -> int:
    """How many rows commits have at most: each has a key of its own, and those of a commit follow each other."""
    return sum(commit.last_key - commit.first_key + 1 for commit in commits)


def _check_link(findings: Findings, previous: _Commit | None, commit: _Commit) -> None:
    session_key, revision = commit.session_key, commit.head_revision
    expected = chain_hash(
        None if previous is None else previous.chain_hash,
        session_id=findings.names.get(session_key, ""),
        head_revision=revision,
        content_hash=commit.content_hash,
    )
    if previous is not None and revision != previous.head_revision + 1:
        findings.problem("commit_gap", session_key, f"after revision {previous.head_revision} comes {revision}")
    elif expected != commit.chain_hash:
        place = "the first one that is recorded" if previous is None else f"after revision {previous.head_revision}"
        detail = f"revision {revision}, {place}, has the chain hash {commit.chain_hash} instead of {expected}"
        findings.problem("commit_chain", session_key, detail)


def _check_end(findings: Findings, last: _Commit, head: tuple[int, str | None] | None) -> None:
    if head is None:
        findings.problem("commit_chain", last.session_key, f"revision {last.head_revision} is of no session")
        return
    revision, chain = head
    if revision != last.head_revision:
        detail = f"it is at revision {revision}, and the last recorded commit is {last.head_revision}"
        findings.problem("commit_gap", last.session_key, detail)
    elif chain != last.chain_hash:
        detail = f"its head has the chain hash {chain}, and revision {revision} has {last.chain_hash}"
        findings.problem("commit_chain", last.session_key, detail)


def _check_contents(transaction: Transaction, findings: Findings, group: _Group) -> None:
    """Hash the rows of each commit again; say which rows no commit has."""
    contents: dict[tuple[int, int], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    places = _Places(group)
    for name, statement in _READ_KEYED.items():
        for row in transaction.rows(statement, group.bounds):
            commit = places.find(row[0], row[1])
            if commit is not None:
                contents[commit.session_key, commit.head_revision][name].append(row)
            elif places.is_recorded(row[0], row[1]):
                detail = f"a row of {name} came with no recorded commit: {row[2]!r}, key {row[1]}"
                findings.problem("commit_content", row[0], detail)
    for name, statement in _READ_BY_TURN.items():
        for revision, *values in transaction.rows(statement, group.bounds):
            contents[values[0], revision][name].append(tuple(values))
    for commit in group.commits:
        its = contents.pop((commit.session_key, commit.head_revision), {})
        if not commit.is_pruned and (found := commit_content(its)) != commit.content_hash:
            held = ", ".join(f"{len(rows)} {name}" for name, rows in its.items()) or "no rows"
            detail = (
                f"the rows of revision {commit.head_revision} hash to {found} instead of {commit.content_hash}; "
                f"there are {held}"
            )
            findings.problem("commit_content", commit.session_key, detail)


class _Places:
    """Finds the commit of a group that a key belongs to."""

    def __init__(self, group: _Group) -> None:
        self._by_session: dict[int, list[_Commit]] = defaultdict(list)
        for commit in group.commits:
            self._by_session[commit.session_key].append(commit)
        self._ends = {key: [one.last_key for one in commits] for key, commits in self._by_session.items()}
        self._covers_from = group.covers_from

    def find(self, session_key: int, key: int) -> _Commit | None:
        """Give the commit that has the key; None where none has."""
        commits = self._by_session.get(session_key, [])
        place = bisect_left(self._ends.get(session_key, []), key)
        return commits[place] if place < len(commits) and commits[place].first_key <= key else None

    def is_recorded(self, session_key: int, key: int) -> bool:
        """Whether commits were recorded already when the key was given."""
        if self._covers_from is not None:
            return True
        commits = self._by_session.get(session_key)
        return commits is not None and key >= commits[0].first_key
