"""A gate in a PostgreSQL database at which processes wait, so that all begin at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["closed_gate", "pass_gate"]

_GATE = 7_202_611
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def pass_gate(url: str) -> None:
    """Wait until the gate is open."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (_GATE,))


@contextmanager
def closed_gate(url: str) -> Generator[Callable[[int, Callable[[], bool]], None]]:
    """Keep the gate closed; it opens at the end.

    Gives what waits until so many processes are at the gate, or until something says that one of them has failed.
    """
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_GATE,))

        def wait_for(processes: int, failed: Callable[[], bool]) -> None:
            while not failed():
                row = connection.execute(_WAITING).fetchone()
                if row is not None and row[0] >= processes:
                    return
                time.sleep(0.02)

        yield wait_for
