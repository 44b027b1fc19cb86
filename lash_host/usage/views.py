"""The views of schema ``usage`` that every store has."""

from __future__ import annotations

from pathlib import Path

from lash_host.contracts.store import UsageView

__all__ = ["builtin_views"]

_IN_ORDER = ("model_calls", "tool_calls", "hook_calls", "messages", "plugins", "turns", "sessions", "daily")


def builtin_views() -> tuple[UsageView, ...]:
    """Give the built-in views, each after those it reads.

    The SELECT behind a view lies in ``views/<name>.sql``; the comment in its first line is the description.
    """
    folder = Path(__file__).with_name("views")
    return tuple(_view(folder / f"{name}.sql") for name in _IN_ORDER)


def _view(path: Path) -> UsageView:
    comment, _, sql = path.read_text(encoding="utf-8").partition("\n")
    return UsageView(name=path.stem, sql=sql.strip(), description=comment.removeprefix("--").strip())
