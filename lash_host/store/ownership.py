"""One owner per database file: a lock on a file beside it, and who holds it.

The database's own lock is a POSIX record lock, which any open and close of the file inside its process drops. So the
lock that counts lies on ``<file>.lock``, and the holder's facts in ``<file>.owner``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lash_host.errors import StoreLocked, StoreUnwritable

__all__ = ["OwnerFacts", "Ownership"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerFacts:
    """What a holder tells of itself. `since` is an ISO 8601 time in UTC."""

    pid: int
    command: str
    since: str

    def describe(self) -> str:
        """Name the holder for a message to a person."""
        return f"process {self.pid} ({self.command}) since {self.since}"


class Ownership:
    """Exclusive ownership of a database file, until `release`."""

    def __init__(self, path: Path, *, now_us: int) -> None:
        """Take ownership.

        Raises:
            StoreLocked: Another process has it; names that process and its command.
            StoreUnwritable: The lock's file cannot be made.
        """
        self._facts_file = Path(f"{path}.owner")
        lock_file = Path(f"{path}.lock")
        self._lock = FileLock(lock_file, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
            self._write_facts(now_us)
        except Timeout as exc:
            if not lock_file.exists():
                raise StoreUnwritable(str(path), problem=f"{lock_file.name} cannot be made beside it") from exc
            raise StoreLocked(str(path), holder=_holder(self._facts_file)) from exc
        except OSError as exc:
            self._lock.release()
            raise StoreUnwritable(str(path), problem=str(exc)) from exc

    def release(self) -> None:
        """Give ownership up. The lock's file stays: removing it would let two processes lock two files."""
        if self._lock.is_locked:
            self._facts_file.unlink(missing_ok=True)
            self._lock.release()

    def _write_facts(self, now_us: int) -> None:
        since = datetime.fromtimestamp(now_us // 1_000_000, tz=UTC).isoformat()
        facts = OwnerFacts(pid=os.getpid(), command=" ".join(sys.orig_argv), since=since)
        fresh = Path(f"{self._facts_file}.{facts.pid}")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(asdict(facts)), encoding="utf-8")
        fresh.replace(self._facts_file)


def _holder(facts_file: Path) -> str:
    try:
        return OwnerFacts(**json.loads(facts_file.read_text(encoding="utf-8"))).describe()
    except (OSError, ValueError, TypeError):
        return "another process"
