"""Copies of the views as files, for tools that read files."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args, runtime_checkable

from lash_host.contracts.store import AnalyticsReader, QueryResult
from lash_host.errors import MissingExtra, StoreUnwritable, UsageFault

__all__ = ["ExportFormat", "export_views", "replacing", "write_result"]

ExportFormat = Literal["parquet", "csv", "json"]

_TIMES: Final = "TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S.%fZ'"
_OPTIONS: Final = {
    "parquet": "FORMAT parquet, COMPRESSION zstd",
    "csv": f"FORMAT csv, HEADER, {_TIMES}",
    "json": f"FORMAT json, ARRAY, {_TIMES}",
}
_VIEWS: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'usage' ORDER BY table_name"


@runtime_checkable
class _ArrowStream(Protocol):
    """Rows by the Arrow PyCapsule interface, which needs no package on either side."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


def export_views(
    store: AnalyticsReader,
    folder: str | Path,
    *,
    format: ExportFormat = "parquet",  # noqa: A002
    overwrite: bool = False,
) -> list[Path]:
    """Write every view of schema ``usage``, plugins' views included, as ``<folder>/<view>.<format>``.

    A file appears whole or not at all. Each view is read on its own: a turn that is committed meanwhile may be in one
    file and not in the one before.

    Returns:
        The files, by name.

    Raises:
        UsageFault: The format is unknown, a file is there already, or ``folder`` is a file.
        StoreUnwritable: A file cannot be written.
        MissingExtra: The store gives its rows by pyarrow only, and that is not installed.
        QueryFailed: A view cannot be read.
    """
    if format not in get_args(ExportFormat):
        raise UsageFault(f"no export as {format!r}; known: {', '.join(get_args(ExportFormat))}")
    with closing(store.query(_VIEWS)) as names:
        files = {Path(folder) / f"{name}.{format}": name for (name,) in names.fetchall()}
    taken = [] if overwrite else [path for path in files if path.exists()]
    if taken:
        raise UsageFault(f"{taken[0]} is there already; give overwrite=True to replace it")
    _make_folder(Path(folder))
    for path, name in files.items():
        with closing(store.query(f'SELECT * FROM usage."{name}"')) as result:
            write_result(result, path, format=format)
    return list(files)


def write_result(result: QueryResult, path: Path, *, format: ExportFormat) -> None:  # noqa: A002
    """Write the rows of a query to a file, replacing one that is there. The file appears whole or not at all.

    Raises:
        StoreUnwritable: It cannot be written.
        MissingExtra: The store gives its rows by pyarrow only, and that is not installed.
    """
    import duckdb

    rows = _stream(result)
    with replacing(path) as draft, closing(duckdb.connect(":memory:")) as memory:
        target = str(draft).replace("'", "''")
        try:
            memory.register("result_rows", rows)
            memory.execute(f"COPY (FROM result_rows) TO '{target}' ({_OPTIONS[format]})")
            memory.unregister("result_rows")
        except duckdb.IOException as exc:
            raise StoreUnwritable(str(path), problem=str(exc)) from exc


def _stream(result: QueryResult) -> Any:
    """Give what DuckDB reads rows from. A stream is asked for once before: here its errors are its own."""
    if not isinstance(result, _ArrowStream):
        return result.arrow()
    try:
        result.__arrow_c_stream__()
    except ModuleNotFoundError as exc:  # DuckDB 1.5 streams by way of pyarrow
        raise MissingExtra("this export", extra="arrow") from exc
    return result


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as exc:
        raise UsageFault(f"{folder} is a file, not a folder") from exc
    except OSError as exc:
        raise StoreUnwritable(str(folder), problem=str(exc.strerror)) from exc


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to; what was written takes its place, unless the body fails.

    Raises:
        StoreUnwritable: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as exc:
        raise StoreUnwritable(str(path), problem=str(exc.strerror)) from exc
    finally:
        draft.unlink(missing_ok=True)
