"""Store URLs: a plain path, or a URL as SQLAlchemy writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lash_host.errors import UsageFault
from lash_host.store.schema import ROWS_SCHEMA, SCHEMA

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

__all__ = ["SUPPORTED", "StoreUrl", "parse_store_url"]

SUPPORTED = ("duckdb:///path", "postgresql+psycopg://user@host/database")
MEMORY = ":memory:"
_POSTGRESQL = frozenset({"postgresql", "postgresql+psycopg"})
_SHOWN_OPTIONS = frozenset(
    {"application_name", "connect_timeout", "host", "hostaddr", "options", "port", "sslmode", "target_session_attrs"}
)
_TAKEN_NAMES = frozenset({"usage", SCHEMA, ROWS_SCHEMA})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """Where a store is.

    Attributes:
        dialect: Name of the database, such as ``duckdb``.
        path: The database file, absolute and with symbolic links resolved; None for a store in memory or on a server.
        text: The URL for messages; never holds a password.
        address: The URL of a database on a server, with its password; None for any other. Never shown.
    """

    dialect: str
    path: Path | None
    text: str
    address: str | None = field(default=None, repr=False)

    @property
    def is_in_memory(self) -> bool:
        """Whether the store ends with its handle."""
        return self.path is None and self.address is None


def parse_store_url(url: str | Path) -> StoreUrl:
    """Read a plain path, ``:memory:``, ``duckdb:///path``, ``duckdb:///:memory:`` or ``postgresql+psycopg://…``.

    ``postgresql://…`` means psycopg too.

    Raises:
        UsageFault: Empty, not a URL, or of a database that is not supported; says what is.
    """
    if isinstance(url, Path):
        if url.parts[:1] and url.parts[0] in {f"{name}:" for name in (*_POSTGRESQL, "duckdb")}:
            raise UsageFault(f"{url.parts[0]}//... is a URL, not a path: give it as text")
        return _file(url)
    text = url.strip()
    if not text:
        raise UsageFault("a store needs a path or a URL, got an empty one")
    if "://" not in text:
        return _memory() if text == MEMORY else _file(Path(text))
    return _from_url(text)


def _from_url(text: str) -> StoreUrl:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as exc:
        raise UsageFault(f"not a store URL; write a path or {_forms()}") from exc
    shown = _shown(parsed)
    if parsed.drivername in _POSTGRESQL:
        address = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        return StoreUrl(
            dialect="postgresql", path=None, text=_shown(parsed.set(drivername="postgresql+psycopg")), address=address
        )
    if parsed.drivername != "duckdb":
        raise UsageFault(f"store {shown} is not supported; supported: a path or {_forms()}")
    if parsed.host or parsed.username or parsed.query:
        raise UsageFault(f"store {shown} has parts that a DuckDB store has no use for; write {SUPPORTED[0]}")
    if parsed.database in {None, "", MEMORY}:
        return _memory()
    return _file(Path(str(parsed.database)))


def _forms() -> str:
    return " or ".join(SUPPORTED)


def _shown(url: URL) -> str:
    """Give a URL without what may be secret in it: libpq takes passwords in a query too."""
    kept = {name: value for name, value in url.query.items() if name in _SHOWN_OPTIONS}
    return url.set(query=kept).render_as_string(hide_password=True)


def _memory() -> StoreUrl:
    return StoreUrl(dialect="duckdb", path=None, text=f"duckdb:///{MEMORY}")


def _file(path: Path) -> StoreUrl:
    real = Path(path.expanduser()).resolve()
    if real.stem.casefold() in _TAKEN_NAMES:
        raise UsageFault(
            f"a store cannot be called {real.name}: DuckDB names a database after its file, and {real.stem} is the "
            "name of a schema in it; choose another name"
        )
    return StoreUrl(dialect="duckdb", path=real, text=f"duckdb:///{real}")
