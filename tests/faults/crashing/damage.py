"""Files that were cut or changed: ``python -m crashing.damage`` makes one, and says what comes of damaged copies of it.

What it is asked on standard input it answers in lines of JSON: it runs apart, so that a crash of the database is seen.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crashing.model import Expected
from crashing.verify import Rows, problems_of_rows, queries
from crashing.writer import Notes, Writer
from lash_host.contracts.store import SessionStore
from lash_host.errors import StoreError
from lash_host.store import open_store
from lash_host.store.logged import folding
from lash_host.usage.views import builtin_views

__all__: list[str] = []

_SESSIONS = ["a", "b", "c"]
_STEPS = 60
_FOLD_AT = 25


def make(folder: Path, *, is_killed: bool) -> None:
    """Write a store and a note of each answer, folded once on the way; then close it, or die with a long log."""
    folding._ENTRIES, folding._IDLE_S = 1 << 30, 1e6
    store = open_store(folder / "store.duckdb")
    store.install_views(builtin_views())
    writer = Writer(store, _SESSIONS, expected=Expected(), notes=Notes(str(folder / "notes")), seed="damage")
    for number in range(_STEPS):
        writer.step()
        if number == _FOLD_AT:
            assert store._engine.fold()
    if is_killed:
        os.kill(os.getpid(), signal.SIGKILL)
    store.close()


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is said."""
        self.said.append(record.getMessage())


def look(path: Path, states: list[Expected]) -> dict[str, Any]:
    """Open a store that may be damaged; say which of the states it is in, what error it gives, what it warns of."""
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)
    try:
        return {**_look(path, states), "warned": warnings.said}
    finally:
        logging.getLogger().removeHandler(warnings)


def _look(path: Path, states: list[Expected]) -> dict[str, Any]:
    try:
        store = open_store(path, create=False)
    except StoreError as error:
        return {"refused": type(error).__name__, "says": str(error)}
    try:
        with closing(store):
            return _look_inside(store, states)
    except StoreError as error:
        return {"failed": type(error).__name__, "says": str(error)}


def _look_inside(store: SessionStore, states: list[Expected]) -> dict[str, Any]:
    checked = [problem.kind for problem in store.check().problems]
    rows = {name: store.query(sql).fetchall() for name, sql in queries("lash_rows").items()}
    revisions = {session_id: revision for session_id, revision, *_ in rows["sessions"] if revision}
    fits = [number for number, state in enumerate(states) if _fits(state, revisions, rows)]
    if checked or not fits:
        problems = problems_of_rows(rows, states[-1], where="")
        return {"checked": checked, "fits": fits, "problems": [asdict(problem) for problem in problems[:5]]}
    state = Expected.load(states[fits[0]].dump())
    Writer(store, _SESSIONS[:1], expected=state, notes=Notes(os.devnull), seed="on").go_on()
    assert store._engine.fold()
    rows = {name: store.query(sql).fetchall() for name, sql in queries("lash_tables").items()}
    problems = problems_of_rows(rows, state, where="gone on")
    return {"checked": [], "fits": fits, "problems": [asdict(problem) for problem in problems[:5]]}


def _fits(state: Expected, revisions: dict[str, int], rows: Rows) -> bool:
    wanted = {session_id: session.revision for session_id, session in state.sessions.items() if session.revision}
    return wanted == revisions and not problems_of_rows(rows, state, where="")


def states_of(notes: Path) -> list[Expected]:
    """Give what must be there after each operation that was noted, from none to all."""
    now, states, begun = Expected(), [Expected()], {}
    for line in notes.read_text().splitlines():
        record = json.loads(line)
        if "begun" in record:
            begun[record.pop("begun")] = record
        else:
            now.apply(begun.pop(record["answered"]))
            states.append(Expected.load(now.dump()))
    return states


def damaged(folder: Path, change: dict[str, Any]) -> Path:
    """Copy what was made and damage the copy: ``cut`` a file to a length, or ``flip`` a byte of it."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder / "made", copy)
    file = copy / change["file"]
    if "cut" in change:
        os.truncate(file, change["cut"])
    else:
        body = bytearray(file.read_bytes())
        body[change["flip"]] ^= 0xFF
        file.write_bytes(body)
    return copy / "store.duckdb"


def main() -> None:
    """Make a store in ``made``, killed or closed, or look at damaged copies of it."""
    folder = Path(sys.argv[1])
    if sys.argv[2] != "look":
        make(folder / "made", is_killed=sys.argv[2] == "killed")
        return
    states = states_of(folder / "made" / "notes")
    for line in sys.stdin:
        answer = look(damaged(folder, json.loads(line)), states)
        sys.stdout.write(json.dumps({**json.loads(line), "of": len(states) - 1, **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
