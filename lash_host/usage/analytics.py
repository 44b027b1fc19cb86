"""Read-only analytics over everything a store holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from lash_host.contracts.clock import Clock, SystemClock
from lash_host.contracts.store import AnalyticsReader, QueryResult
from lash_host.usage.export import ExportFormat, export_views
from lash_host.usage.reports import Since, check_dimensions, parse_since, report_sql

__all__ = ["UsageAnalytics"]


class UsageAnalytics:
    """What sessions did and what it cost, from the views of schema ``usage``.

    Its methods block until the answer is there: call them from a thread where an event loop is running, for example
    ``await asyncio.to_thread(host.usage.report, by=["model"])``.
    """

    def __init__(self, store: AnalyticsReader, *, clock: Clock | None = None) -> None:
        """Read from ``store``, whose views are installed. ``clock`` says what "7 days ago" means."""
        self._store = store
        self._clock: Clock = SystemClock() if clock is None else clock

    def sql(self, query: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> QueryResult:
        """Run one read-only SQL statement.

        Args:
            query: SQL in the store's dialect. Parameters are ``?``, ``$1`` or ``$name``.
            params: Values for them.

        Returns:
            Rows to be read once: ``.fetchall()``, ``.arrow()``, ``.df()`` or ``.pl()``.

        Raises:
            QueryRefused: Not exactly one statement, or not a read-only one.
            QueryFailed: The database refused it.
        """
        return self._store.query(query, params)

    def report(self, by: str | Sequence[str] = ("model",), since: Since = None) -> list[dict[str, Any]]:
        """Add up usage.

        A row has the columns it is divided by, then ``calls``, ``sessions``, the five token counters,
        ``total_tokens`` and ``cost_usd``, all about model calls. ``cost_usd`` is None where a call that consumed
        tokens has no price. There are two other kinds of row:

        - by ``tool``: ``calls`` of tools, ``failures`` among them, ``sessions``, and ``total_duration_ms``,
          ``avg_duration_ms``, ``max_duration_ms``;
        - by ``plugin``, without ``model`` or ``source``: the same as for model calls, with ``tool_calls``,
          ``hook_calls``, ``hook_ms`` and ``hook_errors`` of that plugin after it. ``plugin_id`` is None for what the
          host did itself.

        Args:
            by: Any of ``day`` (UTC), ``model``, ``source``, ``session``, ``plugin``, ``tool``; none gives one row.
            since: Leave out what started earlier: ``7d``, ``24h``, ``30m``, a `timedelta` back from now, or a date or
                time (UTC where it has no zone).

        Returns:
            Rows by the views' column names: by day where that is asked for, the largest first.

        Raises:
            UsageFault: ``by`` or ``since`` is not one of these.
        """
        dimensions = check_dimensions(by)
        moment = parse_since(since, now_us=self._clock.now_us())
        with closing(self._store.query(report_sql(dimensions, since=moment))) as result:
            names = tuple(result.columns)
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def export(
        self,
        folder: str | Path,
        format: ExportFormat = "parquet",  # noqa: A002
        *,
        overwrite: bool = False,
    ) -> list[Path]:
        """Write every view of schema ``usage`` to a file of its name in ``folder``.

        A file appears whole or not at all. Parquet keeps types; in CSV and JSON times are ISO 8601 in UTC. Each view
        is read on its own, so a turn that is committed meanwhile may be in one file and not in another.

        Args:
            folder: Made if it is not there.
            format: ``parquet``, ``csv`` or ``json`` (an array of objects).
            overwrite: Replace files that are there. Otherwise one is an error, and nothing is written.

        Returns:
            The files, by name.

        Raises:
            UsageFault: The format is unknown, a file is there already, or ``folder`` is a file.
            StoreUnwritable: A file cannot be written.
            MissingExtra: The store gives its rows by pyarrow only, and that is not installed.
        """
        return export_views(self._store, folder, format=format, overwrite=overwrite)
