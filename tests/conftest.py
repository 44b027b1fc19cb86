"""Runs coroutine tests, keeps every test away from the user's own files, and makes plugins of classes."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from lash_host import LashHost, LashRuntime
from lash_host.domain.lease import LeaseAcquired, LeaseOwner
from lash_host.domain.message import is_prompt_resume_safe
from lash_host.store import open_store
from lash_host.testing import host_plugin
from lash_host.testing.postgres_server import PostgresServer


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    asyncio.run(pyfuncitem.obj(**wanted))
    return True


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    for name in ("LASH_STORE", "LASH_CONFIG", "LASH_MODEL", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a PostgreSQL server, started by the first test that wants one."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """Give the URL of a database that holds an empty store, to copy."""
    url = postgres_server.database()
    open_store(url).close()
    return url


@pytest.fixture(scope="session")
def wiped_postgres_urls() -> list[str]:
    """Give the URLs of databases that hold an empty store again."""
    return []


@pytest.fixture
def postgres_url(
    postgres_server: PostgresServer, postgres_template: str, wiped_postgres_urls: list[str]
) -> Iterator[str]:
    """Give the URL of a database with an empty store, of the test's own. It leaves rows and views behind, no more."""
    url = wiped_postgres_urls.pop() if wiped_postgres_urls else postgres_server.database(template=postgres_template)
    yield url
    postgres_server.wipe(url)
    wiped_postgres_urls.append(url)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the URL of a database with nothing in it, of the test's own."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def store_v1() -> Callable[[Path], Path]:
    """Write a store of schema version 1, as the version that made such ones left it."""

    def write(path: Path) -> Path:
        folder = Path(__file__).with_name("fixtures") / "store_v1"
        tables = json.loads((folder / "rows.json").read_text("utf-8"))
        with duckdb.connect(path, config={"storage_compatibility_version": "v1.5.0"}) as connection:
            connection.execute((folder / "schema.sql").read_text("utf-8"))
            for name, table in tables.items():
                marks = ", ".join("?" * len(table["columns"]))
                rows = [[bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in row] for row in table["rows"]]
                connection.executemany(f"INSERT INTO lash_tables.{name} VALUES ({marks})", rows)
        return path

    return write


@pytest.fixture
def plugin_of() -> Callable[..., object]:
    """Make a host plugin of a session plugin's class."""

    def make(session_plugin: type, plugin_id: str = "p") -> object:
        return host_plugin(session_plugin, plugin_id=plugin_id)

    return make


@pytest.fixture
def assert_sound() -> Callable[..., Awaitable[None]]:
    """Check what holds of a session whenever nothing runs in it.

    Nobody holds its lease, its conversation can go on, and memory and store say the same of it.
    """

    async def check(host: LashHost, session: LashRuntime) -> None:
        owner = LeaseOwner(owner_id="test", incarnation_id="test")
        lease = host.store.claim_lease(session.session_id, owner, ttl_ms=1000)
        assert isinstance(lease, LeaseAcquired)
        host.store.release_lease(lease.lease.fence)
        assert is_prompt_resume_safe(session.read_view().messages)
        async with host.session(session.session_id) as other:
            here, there = session.export_persisted_state(), other.export_persisted_state()
            for name in ("agent_frames", "turn_index", "head_revision", "protocol_turn_options", "tool_state"):
                assert getattr(here, name) == getattr(there, name), name
            assert session.read_view().messages == other.read_view().messages
            assert here.plugin_snapshot.plugins.keys() >= there.plugin_snapshot.plugins.keys()
            for plugin_id, entry in there.plugin_snapshot.plugins.items():
                assert here.plugin_snapshot.plugins[plugin_id].state == entry.state
            assert here.token_ledger == there.token_ledger

    return check
