"""Copying a DuckDB file through SQL: never as a file, so that no lock is dropped and its write-ahead log counts."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from lash_host.store.points import reached

__all__ = ["write_backup"]

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": "v1.5.0",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}
_SOURCE, _TARGET = "copied_from", "copied_to"


def write_backup(source: Path, target: Path) -> None:
    """Copy everything in a database file that nobody has open, its write-ahead log included; the file stays as it is.

    The copy is written as ``<target>.unfinished``, synced, and renamed: under its own name it is complete. What an
    interrupted copy left is removed.

    Raises:
        FileExistsError: Something is there already.
        duckdb.Error: The source cannot be read or the copy not written, or they differ.
        OSError: The copy cannot be synced.
    """
    draft = Path(f"{target}.unfinished")
    _refuse_to_overwrite(target)
    try:
        _remove(draft)
        _copy_database(source, draft)
        _sync(draft)
        reached("after_backup")
        _refuse_to_overwrite(target)
        draft.rename(target)
        _sync(target.parent)
    except BaseException:
        _remove(draft)
        raise


def _remove(draft: Path) -> None:
    for left in (draft, Path(f"{draft}.wal")):
        left.unlink(missing_ok=True)


def _refuse_to_overwrite(target: Path) -> None:
    """Refuse where a file is, or what one left that was removed without its log: no other file opens beside that."""
    for there in (target, Path(f"{target}.wal")):
        if there.exists():
            raise FileExistsError(f"{there} is there already")


def _copy_database(source: Path, draft: Path) -> None:
    with duckdb.connect(":memory:", config=_CONFIG) as connection:
        connection.execute(f"ATTACH '{_quoted(source)}' AS {_SOURCE} (READ_ONLY)")
        connection.execute(f"ATTACH '{_quoted(draft)}' AS {_TARGET}")
        connection.execute(f"COPY FROM DATABASE {_SOURCE} TO {_TARGET}")
        reached("in_backup")
        connection.execute(f"CHECKPOINT {_TARGET}")
        copied, there = _counts(connection, _TARGET), _counts(connection, _SOURCE)
        if copied != there:
            raise duckdb.InternalException(f"the copy holds {copied} rows, and the database {there}")
        connection.execute(f"DETACH {_TARGET}")
        connection.execute(f"DETACH {_SOURCE}")


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
