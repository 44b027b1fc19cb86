"""Runs coroutine tests, keeps every test away from the user's own files, and makes plugins of classes."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lash_host import LashHost, LashRuntime
from lash_host.contracts.store import PersistedSession, ReadScope, SessionStore
from lash_host.domain.graph import AppendNodes
from lash_host.domain.lease import LeaseAcquired, LeaseOwner
from lash_host.domain.message import is_prompt_resume_safe
from lash_host.domain.usage import TokenUsage
from lash_host.store import open_store
from lash_host.testing import host_plugin
from lash_host.testing.conformance.samples import SampleSession, message_nodes, model_call
from lash_host.testing.postgres_server import PostgresServer

FIXTURES = Path(__file__).with_name("fixtures")


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


@pytest.fixture(scope="session")
def old_stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write stores of old schema versions, each once: what is asked for again is copied."""
    made = tmp_path_factory.mktemp("old_stores")

    def write(name: str, path: Path, *, is_folded: bool = False) -> Path:
        folder, once = FIXTURES / name, made / f"{name}{'_folded' if is_folded else ''}.duckdb"
        if not once.exists():
            _write_store(folder, once, but={"commit_log"} if is_folded else set())
        shutil.copyfile(once, path)
        if (folder / "attachments").exists():
            shutil.copytree(folder / "attachments", f"{path}.attachments")
        return path

    return write


def _write_store(folder: Path, path: Path, *, but: set[str]) -> None:
    tables = json.loads((folder / "rows.json").read_text("utf-8"))
    with duckdb.connect(path, config={"storage_compatibility_version": "v1.5.0"}) as connection:
        connection.execute((folder / "schema.sql").read_text("utf-8"))
        connection.begin()
        for name, table in tables.items():
            if table["rows"] and name not in but:
                marks = ", ".join("?" * len(table["columns"]))
                rows = [[bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in row] for row in table["rows"]]
                connection.executemany(f"INSERT INTO lash_tables.{name} VALUES ({marks})", rows)
        connection.commit()


@pytest.fixture
def store_v1(old_stores: Callable[..., Path]) -> Callable[[Path], Path]:
    """Write a store of schema version 1, as the version that made such ones left it."""
    return partial(old_stores, "store_v1")


@pytest.fixture
def store_v2(old_stores: Callable[..., Path]) -> Callable[..., Path]:
    """Write a store of schema version 2, as a killed process left it; with ``is_folded``, without what was in its log.

    The attachments are written beside it.
    """
    return partial(old_stores, "store_v2")


@pytest.fixture
def told() -> Callable[[SessionStore, Iterable[str]], dict[str, Any]]:
    """Ask a store about sessions, as it was asked for ``loaded.json`` beside the rows of an old one."""
    return lambda store, session_ids: {session_id: _told(store, session_id) for session_id in session_ids}


def _told(store: SessionStore, session_id: str) -> dict[str, Any]:
    meta, session = store.load_session_meta(session_id), store.load_session(session_id)
    queued = store.list_queued_work(session_id)
    return {
        "name": None if meta is None else meta.name,
        "queued": [[one.batch_id, one.enqueue_seq, one.source_key, one.available_at_ms] for one in queued],
        "unclaimed": [one.batch_id for one in store.list_queued_work(session_id, include_claimed=False)],
        "pending": [
            [one.input_id, one.enqueue_seq, one.source_key, one.state.value, one.input.items[0].text]
            for one in store.list_pending_turn_inputs(session_id)
        ],
        "attachments": [
            [one.attachment_id, one.media_type, one.label, one.committed_at_us,
             store.get_attachment(session_id, one.attachment_id).decode()]
            for one in store.list_attachments(session_id)
        ],
        "session": None if session is None else _told_of(store, session),
    }  # fmt: skip


def _told_of(store: SessionStore, session: PersistedSession) -> dict[str, Any]:
    info = store.session_info(session.session_id)
    frame = store.load_session(session.session_id, scope=ReadScope.CURRENT_FRAME)
    assert info is not None
    assert frame is not None
    return {
        "head_revision": session.head_revision,
        "turns": info.turns,
        "title": info.title,
        "parent": info.parent_session_id,
        "root": info.root_session_id,
        "model": [info.provider_id, info.model],
        "times": [info.created_at_us, info.last_turn_at_us],
        "frames": [one.frame_id for one in session.agent_frames],
        "checkpoint_ref": session.checkpoint_ref,
        "bodies": [
            None if body is None else hashlib.sha256(body).hexdigest()
            for body in (session.tool_state, session.plugin_snapshot)
        ],
        "nodes": [
            [one.node_id, one.parent_node_id, one.frame_id, hashlib.sha256(one.payload_json.encode()).hexdigest()[:16]]
            for one in session.graph.nodes
        ],
        "leaf": session.graph.leaf_node_id,
        "in_frame": len(list(frame.graph.nodes)),
        "ledger": _ledger(session),
    }


def _ledger(session: PersistedSession) -> list[list[Any]]:
    return [[one.source, one.model, *one.usage.model_dump().values()] for one in session.token_ledger]


@pytest.fixture
def go_on() -> Callable[[SessionStore, str, str], list[list[Any]]]:
    """Commit a turn with model calls to a session that is stored; give the ledger it has then."""

    def commit(store: SessionStore, session_id: str, turn_id: str) -> list[list[Any]]:
        session = SampleSession(store, session_id)
        loaded = session.load()
        node_id, frame_id = f"{session_id}:{turn_id}", loaded.current_agent_frame_id
        nodes = message_nodes(node_id, after=loaded.graph.leaf_node_id, frame_id=frame_id)
        turn = session.turn(
            turn_id,
            policy=loaded.policy,
            agent_frames=loaded.agent_frames,
            current_agent_frame_id=frame_id,
            graph=AppendNodes(nodes=nodes, leaf_node_id=node_id),
            model_calls=(
                model_call(f"{turn_id}:1", input_tokens=10, output_tokens=1),
                model_call(f"{turn_id}:2", source="later", input_tokens=5, output_tokens=5, reasoning_output_tokens=2),
            ),
        )
        store.commit(turn)
        return _ledger(session.load())

    return commit


@pytest.fixture
def spent() -> Callable[[SessionStore, str], list[list[Any]]]:
    """Add up the model calls of a session in SQL, as its ledger shall be."""
    counters = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in TokenUsage.model_fields)
    sql = (
        f"SELECT source, model, {counters} FROM lash_rows.model_calls"
        " WHERE session_key = (SELECT session_key FROM lash_rows.sessions WHERE session_id = $1)"
        " AND input_tokens + output_tokens + cache_read_input_tokens + cache_write_input_tokens > 0"
        " GROUP BY source, model ORDER BY min(call_key)"
    )
    return lambda store, session_id: [list(row) for row in store.query(sql, [session_id]).fetchall()]


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
