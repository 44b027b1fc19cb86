"""``lash store``: what the store is, and looking after it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from lash_host.cli.invocation import Invocation, LashGroup
from lash_host.cli.output import format_option, output_to, write_document
from lash_host.cli.render import ago, bytes_text, moment_text
from lash_host.cli.store_moves import backup, copy, migrate
from lash_host.cli.store_upkeep import check, collect_garbage, vacuum

if TYPE_CHECKING:
    from lash_host.contracts.store import StoreInfo

__all__ = ["store"]

_FORMATS = ("table", "json")


@click.group("store", cls=LashGroup, short_help="Look at the store, and after it.")
def store() -> None:
    """Look at the store, and after it."""


@store.command("info", short_help="Say where the store is and what it holds.")
@format_option(*_FORMATS)
@click.pass_obj
def info(invocation: Invocation, *, format_name: str | None) -> None:
    """Say where the store is, how large it is, its schema version, and how much it holds."""
    from lash_host.cli.store_opening import open_for_upkeep
    from lash_host.store.dialects import parse_store_url

    output = output_to(format_name, known=_FORMATS)
    with open_for_upkeep(invocation) as opened:
        found = opened.info()
    path = parse_store_url(found.url).path if found.dialect == "duckdb" else None
    if output.format == "json":
        written = found.model_dump(exclude={"created_at_us"})
        created_at = moment_text(found.created_at_us)
        document = {**written, "path": None if path is None else str(path), "created_at": created_at}
        write_document(invocation.terminal, document)
    else:
        _print(invocation, found, found.url if path is None else str(path))


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


for command in (check, migrate, collect_garbage, vacuum, backup, copy):
    store.add_command(command)
