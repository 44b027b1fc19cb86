"""Rolling up a million model calls: the views of a store, and the same table and queries in sqlite3."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.tables import median, milliseconds, print_table
from lash_host.store import open_store
from lash_host.store.schema import SCHEMA
from lash_host.usage.analytics import UsageAnalytics
from lash_host.usage.views import builtin_views

CALLS_A_SESSION = 100
FIRST_US = 1_767_225_600_000_000
DAY_US = 86_400_000_000
TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
)
COLUMNS = ("session_key", "call_key", "call_id", "turn_id", "source", "provider_id", "model", "started_at_us", *TOKENS)
ROWS = f"""
    SELECT i // {CALLS_A_SESSION} AS session_key, i AS call_key, 'call-' || i AS call_id,
        'turn-' || (i // 5) AS turn_id, 'frame' AS frame_id, i % 5 + 1 AS iteration,
        CASE WHEN i % 20 = 0 THEN 'compaction' WHEN i % 7 = 0 THEN 'subagent' ELSE 'turn' END AS source,
        NULL AS plugin_id, CASE WHEN i % 3 = 0 THEN 'openai' ELSE 'other' END AS provider_id,
        'model-' || (i * 7919 % 6) AS model, {FIRST_US} + i * 90 * {DAY_US} // $rows AS started_at_us,
        500.0 + i % 1000 AS duration_ms, 90.0 AS time_to_first_token_ms, 1 AS attempts, 'stop' AS terminal_reason,
        NULL AS error_kind, 1000 + i % 3000 AS input_tokens, 50 + i % 400 AS output_tokens,
        i % 5000 AS cache_read_input_tokens, i % 70 AS cache_write_input_tokens, i % 30 AS reasoning_output_tokens,
        0.001 * (i % 10) AS cost_usd
    FROM range($rows) AS numbers(i)
"""
SUMS = ", ".join(f"sum({name})" for name in TOKENS) + ", sum(cost_usd)"
DAILY = f"""
    SELECT started_at_us / {DAY_US} AS day, provider_id, model, source, count(*), count(DISTINCT session_key), {SUMS}
    FROM model_calls GROUP BY 1, 2, 3, 4
"""
BY_MODEL = f"""
    SELECT provider_id, model, count(*), count(DISTINCT session_key), {SUMS} FROM model_calls GROUP BY 1, 2
"""


def main(*, quick: bool = False) -> None:
    """Fill both, ask both the same, print a table."""
    rows = 20_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        store_path, lite_path = Path(folder) / "store.duckdb", Path(folder) / "lite.sqlite3"
        fill_store(store_path, rows)
        fill_sqlite(store_path, lite_path)
        with closing(open_store(store_path)) as store, closing(sqlite3.connect(lite_path)) as lite:
            usage = UsageAnalytics(store)
            last_week = datetime.fromtimestamp((FIRST_US + 83 * DAY_US) / 1e6, UTC)
            after = f"WHERE started_at_us >= {FIRST_US + 83 * DAY_US}"
            since = BY_MODEL.replace("GROUP", f"{after} GROUP")
            session = f"session-{rows // CALLS_A_SESSION // 2}"
            one = f"SELECT count(*), {SUMS} FROM model_calls WHERE session_key = {rows // CALLS_A_SESSION // 2}"
            plain = measure_sqlite(lite, (DAILY, BY_MODEL, since, one))
            lite.execute("CREATE INDEX by_session ON model_calls (session_key)")
            lite.execute(
                "CREATE INDEX covering ON model_calls"
                f" (started_at_us, provider_id, model, source, session_key, {', '.join(TOKENS)}, cost_usd)"
            )
            indexed = measure_sqlite(lite, (DAILY, BY_MODEL, since, one))
            ours = [
                median_of(lambda: usage.sql("SELECT * FROM usage.daily").fetchall()),
                median_of(lambda: usage.report(["model"])),
                median_of(lambda: usage.report(["model"], since=last_week)),
                median_of(lambda: usage.sql("SELECT * FROM usage.sessions WHERE session_id = ?", [session]).fetchall()),
            ]
        asked = ("usage.daily, 90 days", "report by model", "report by model, 7 days", "one session of usage.sessions")
        versions = f"DuckDB {duckdb.__version__}, SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}"
        print_table(
            f"{rows:,} model calls",
            ("median of five, ms", "usage views", "sqlite3", "sqlite3, indexed"),
            [
                (name, *(milliseconds(seconds) for seconds in times))
                for name, *times in zip(asked, ours, plain, indexed, strict=True)
            ],
            note=f"files: {size(store_path)}, and {size(lite_path)} with both indexes of sqlite3; {versions}",
        )


def fill_store(path: Path, rows: int) -> None:
    """Write the rows below the store, which is closed then."""
    with closing(open_store(path)) as store:
        store.install_views(builtin_views())
    with duckdb.connect(str(path)) as plain:
        plain.execute(f"INSERT INTO {SCHEMA}.model_calls BY NAME {ROWS}", {"rows": rows})
        plain.execute(
            f"""
            INSERT INTO {SCHEMA}.sessions BY NAME
            SELECT k AS session_key, 'session-' || k AS session_id, 'session-' || k AS root_session_id,
                {FIRST_US} AS created_at_us, {FIRST_US} AS updated_at_us, 20 AS turns, 20 AS head_revision,
                0 AS live_nodes, 0 AS frame_start_key, 0 AS fencing_token, 0 AS lease_claimed_at_ms,
                0 AS lease_expires_at_ms, 0 AS last_key, 0 AS replaced_before_key
            FROM range({-(-rows // CALLS_A_SESSION)}) AS numbers(k)
            """
        )


def fill_sqlite(store_path: Path, path: Path) -> None:
    """Write the same columns of the same rows, in one transaction."""
    columns = (*COLUMNS, "cost_usd")
    with duckdb.connect(str(store_path), read_only=True) as plain, closing(sqlite3.connect(path)) as lite:
        lite.execute(f"CREATE TABLE model_calls ({', '.join(columns)})")
        found = plain.execute(f"SELECT {', '.join(columns)} FROM {SCHEMA}.model_calls ORDER BY call_key")
        while batch := found.fetchmany(50_000):
            lite.executemany(f"INSERT INTO model_calls VALUES ({', '.join('?' * len(columns))})", batch)
        lite.commit()


def measure_sqlite(lite: sqlite3.Connection, queries: tuple[str, ...]) -> list[float]:
    return [median_of(lambda sql=sql: lite.execute(sql).fetchall()) for sql in queries]


def median_of(work: Callable[[], object]) -> float:
    """Run once to warm up, then five times; give seconds."""
    work()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


def size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.0f} MB"


if __name__ == "__main__":
    main()
