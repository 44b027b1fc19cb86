"""``lash store``: what the store is."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lash_host.cli.invocation import Invocation, LashGroup
from lash_host.cli.output import format_option, output_to, write_document
from lash_host.cli.render import ago, bytes_text, moment_text

if TYPE_CHECKING:
    from lash_host.contracts.store import StoreInfo

__all__ = ["store"]

_FORMATS = ("table", "json")


@click.group("store", cls=LashGroup, short_help="Look at the store.")
def store() -> None:
    """Look at the store."""


@store.command("info", short_help="Say where the store is and what it holds.")
@format_option(*_FORMATS)
@click.pass_obj
def info(invocation: Invocation, *, format_name: str | None) -> None:
    """Say where the store is, how large it is, its schema version, and how much it holds."""
    from lash_host.cli.opening import settings_of, store_path
    from lash_host.cli.spinner import spinning
    from lash_host.store import open_store

    output = output_to(format_name, known=_FORMATS)
    settings = settings_of(invocation)
    path = store_path(settings)
    with spinning(invocation.terminal, "opening the store"):
        opened = open_store(path or ":memory:", create=False)
    with closing(opened):
        found = opened.info()
    if output.format == "json":
        written = found.model_dump(exclude={"created_at_us"})
        created_at = moment_text(found.created_at_us)
        document = {**written, "path": None if path is None else str(path), "created_at": created_at}
        write_document(invocation.terminal, document)
    else:
        _print(invocation, found, "in memory" if path is None else str(path))


def _print(invocation: Invocation, found: StoreInfo, place: str) -> None:
    terminal = invocation.terminal
    created = datetime.fromtimestamp(found.created_at_us / 1_000_000, UTC)
    facts = {
        "path": place,
        "database": f"{found.dialect}, {found.durability}",
        "size": bytes_text(found.size_bytes),
        "schema": f"version {found.schema_version}",
        "created": ago(created, now=datetime.now(UTC)),
        "sessions": f"{found.sessions:,}",
        "turns": f"{found.turns:,}",
        "nodes": f"{found.nodes:,}",
        "blobs": f"{found.blobs:,} ({bytes_text(found.blob_bytes)})",
    }
    for name, value in facts.items():
        if value:
            terminal.write(f"{terminal.styled_out(name.ljust(10), 'dim')}{value}\n")
