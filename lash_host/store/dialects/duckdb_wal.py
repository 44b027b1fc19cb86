"""DuckDB's write-ahead log: how long it is, and how much of it DuckDB took when it opened the file."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

__all__ = ["log_size", "tell_what_was_left_out"]

_log = logging.getLogger(__name__)

_TAKEN = "SELECT wal_size FROM pragma_database_size() WHERE database_name = ?"
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_ROUNDED_BY = 0.1
_HEADER_BYTES = 4096


def log_size(path: Path) -> int:
    """Give the length of a database file's write-ahead log in bytes; 0 where there is none."""
    try:
        return Path(f"{path}.wal").stat().st_size
    except FileNotFoundError:
        return 0


def tell_what_was_left_out(connection: Any, name: str, *, path: Path, size: int) -> None:
    """Warn where DuckDB has left out much of a write-ahead log.

    It leaves out, and says nothing of it, what does not look whole: the end, as a crash in the middle of a write
    leaves it, but just as well all that comes after a damaged length; and a log from before the last checkpoint.

    Args:
        connection: Has the file open, and nothing was written since.
        name: The database's name there.
        path: The file.
        size: How long its log was before it was opened.
    """
    if not size:
        return
    row = connection.execute(_TAKEN, [name]).fetchone()
    found = re.fullmatch(r"([\d.]+) (\w+)", "" if row is None else str(row[0]))
    if found is None or found[2] not in _UNITS:
        return
    unit = _UNITS[found[2]]
    taken = round(float(found[1]) * unit)
    if size - taken > _HEADER_BYTES + _ROUNDED_BY * unit:
        _log.warning(
            "of the write-ahead log of %s DuckDB took the first %d of %d bytes; "
            "the rest was not whole, or older than the file",
            path,
            taken,
            size,
        )
