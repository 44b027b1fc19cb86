"""Copying a DuckDB file through SQL: never as a file, so that no lock is dropped and its write-ahead log counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import duckdb

__all__ = ["copy_database"]

_CONFIG = {
    "storage_compatibility_version": "v1.5.0",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
_SOURCE, _TARGET = "copied_from", "copied_to"


def copy_database(source: Path, target: Path, *, halfway: Callable[[], None] = lambda: None) -> None:
    """Copy everything in a database file that nobody has open to one that is not there yet.

    The source is opened for reading only. The target is complete and synced to disk when this returns.

    Args:
        source: The file.
        target: Where the copy goes.
        halfway: Called when the rows were copied and the file is not complete yet.

    Raises:
        duckdb.Error: The source cannot be read or the target not written, or the copy differs.
        OSError: The target cannot be synced.
    """
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        connection.execute(f"ATTACH '{_quoted(source)}' AS {_SOURCE} (READ_ONLY)")
        connection.execute(f"ATTACH '{_quoted(target)}' AS {_TARGET}")
        connection.execute(f"COPY FROM DATABASE {_SOURCE} TO {_TARGET}")
        halfway()
        connection.execute(f"CHECKPOINT {_TARGET}")
        copied, there = _counts(connection, _TARGET), _counts(connection, _SOURCE)
        if copied != there:
            raise duckdb.InternalException(f"the copy holds {copied} rows, and the database {there}")
        connection.execute(f"DETACH {_TARGET}")
        connection.execute(f"DETACH {_SOURCE}")
    for path in (target, target.parent):
        _sync(path)


def _counts(connection: duckdb.DuckDBPyConnection, database: str) -> dict[str, int]:
    names = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL", [database]
    ).fetchall()
    counts = {}
    for schema, table in names:
        row = connection.execute(f'SELECT count(*) FROM {database}."{schema}"."{table}"').fetchone()
        counts[f"{schema}.{table}"] = 0 if row is None else int(row[0])
    return counts


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
