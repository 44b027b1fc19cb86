"""The options ``--format`` and ``-o``, and writing rows as they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lash_host.cli.failures import WrongUsage
from lash_host.cli.formats import TextSink, cell_text, jsonable, write_csv, write_json
from lash_host.cli.spinner import spinning
from lash_host.cli.tables import Column, align, fits, print_records, print_table
from lash_host.cli.terminal import Terminal

if TYPE_CHECKING:
    from lash_host.contracts.store import QueryResult

__all__ = [
    "Output",
    "format_option",
    "output_option",
    "output_to",
    "write_cells",
    "write_document",
    "write_objects",
    "write_query",
    "write_text",
]

_MOST_SHOWN = 200
_SUFFIXES = {".json": "json", ".csv": "csv", ".parquet": "parquet", ".html": "html"}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where rows go, and how: ``table``, ``json``, ``csv``, ``parquet`` or ``html``; no path is standard output."""

    format: str
    path: Path | None = None


def format_option(*formats: str) -> Callable[[F], F]:
    """Add ``--format``."""
    help_text = f"{', '.join(formats[:-1])} or {formats[-1]}; a table where nothing says otherwise."
    return click.option("--format", "format_name", type=click.Choice(formats), metavar="FORMAT", help=help_text)


def output_option(function: F) -> F:
    """Add ``-o``."""
    help_text = "Write to this file; its ending says the format where --format does not."
    return click.option("-o", "--output", "path", metavar="FILE", help=help_text)(function)


def output_to(format_name: str | None, path: str | None = None, *, known: Sequence[str]) -> Output:
    """Put the two options together.

    Raises:
        WrongUsage: Parquet without a file, an ending whose format the command does not write, or a path that is a
            folder.
    """
    target = None if path is None else Path(path).resolve()
    if target is not None and target.is_dir():
        raise WrongUsage(f"{path} is a folder, not a file")
    chosen = format_name or ("table" if target is None else _SUFFIXES.get(target.suffix.lower(), "table"))
    if chosen not in known:
        raise WrongUsage(f"this cannot be written as {chosen}; known: {', '.join(known)}")
    if chosen == "parquet" and (target is None or _is_special(target)):
        raise WrongUsage("Parquet is written to files: name one with -o FILE")
    return Output(format=chosen, path=target)


def write_query(terminal: Terminal, result: QueryResult, output: Output) -> None:
    """Write what a query gave, as it is.

    Raises:
        StoreUnwritable: The file cannot be written.
        QueryFailed: The database failed while the rows were read.
    """
    if output.path is None:
        _write_rows(terminal, result, output)
        return
    with spinning(terminal, f"writing {output.path.name}"):
        _write_rows(terminal, result, output)


def write_objects(terminal: Terminal, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows that are in memory to standard output, as an array of objects."""
    with _opened(terminal, Output(format="json")) as out:
        write_json(out, columns, [[*rows]], ascii_only=not terminal.out_is_unicode)


def write_document(terminal: Terminal, document: object) -> None:
    """Write one JSON value to standard output: indented on a terminal, else on one line."""
    indent = 2 if terminal.out_is_terminal else None
    text = json.dumps(jsonable(document), ensure_ascii=not terminal.out_is_unicode, indent=indent, allow_nan=False)
    terminal.write(f"{text}\n")


def write_text(terminal: Terminal, text: str, output: Output) -> None:
    """Write text as it is."""
    with _opened(terminal, output) as out:
        out.write(text)


def write_cells(terminal: Terminal, columns: Sequence[Column], rows: Sequence[Sequence[str]], output: Output) -> None:
    """Write a table that is in memory."""
    if output.path is None:
        print_table(terminal, columns, rows)
        return
    with _opened(terminal, output) as out:
        align(out, columns, rows)


def _write_rows(terminal: Terminal, result: QueryResult, output: Output) -> None:
    columns = tuple(result.columns)
    match output.format:
        case "parquet":
            from lash_host.usage.export import write_result

            assert output.path is not None  # noqa: S101  `output_to` saw to it
            write_result(result, output.path, format="parquet")
        case "json":
            with _opened(terminal, output) as out:
                write_json(out, columns, result.batches(), ascii_only=not _takes_unicode(terminal, output))
        case "csv":
            with _opened(terminal, output) as out:
                write_csv(out, columns, result.batches())
        case _:
            _write_table(terminal, result, output)


def _write_table(terminal: Terminal, result: QueryResult, output: Output) -> None:
    columns = tuple(result.columns)
    rows = (row for batch in result.batches(rows=1000) for row in batch)
    if output.path is not None or not terminal.out_is_terminal:
        with _opened(terminal, output) as out:
            align(out, *_as_cells(columns, rows))
        return
    first = [*islice(rows, _MOST_SHOWN + 1)]
    result.close()
    kinds, cells = _as_cells(columns, first[:_MOST_SHOWN])
    texts = [*cells]
    if fits(terminal, columns, texts):
        print_table(terminal, kinds, texts)
    else:
        print_records(terminal, columns, texts)
    if len(first) > _MOST_SHOWN:
        terminal.say(f"these are the first {_MOST_SHOWN} rows; --format csv or json writes all", style="dim")


def _as_cells(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> tuple[list[Column], Iterator[Sequence[str]]]:
    iterator = iter(rows)
    first = next(iterator, None)
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in first or ()]
    kinds = [Column(name, is_number=bool(numbers) and numbers[index], wraps=True) for index, name in enumerate(columns)]
    return kinds, ([cell_text(value) for value in row] for row in _with(first, iterator))


def _with(first: Sequence[object] | None, others: Iterator[Sequence[object]]) -> Iterator[Sequence[object]]:
    if first is not None:
        yield first
    yield from others


@contextmanager
def _opened(terminal: Terminal, output: Output) -> Iterator[TextSink]:
    """Give standard output, or a file that appears whole or not at all."""
    if output.path is None:
        yield terminal if terminal.out_is_terminal else terminal.out
        return
    from lash_host.usage.export import replacing

    place = nullcontext(output.path) if _is_special(output.path) else replacing(output.path)
    with place as path, path.open("w", encoding="utf-8", newline="") as out:
        yield out


def _is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or the like, which must not be replaced by a file."""
    return path.exists() and not path.is_file()


def _takes_unicode(terminal: Terminal, output: Output) -> bool:
    return output.path is not None or terminal.out_is_unicode
