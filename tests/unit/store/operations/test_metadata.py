"""What is said about a session before and besides its turns."""

from __future__ import annotations

import pytest

from lash_host.domain.session import SessionMeta
from lash_host.errors import RecordVersionError
from lash_host.store import metadata

META = SessionMeta(
    session_id="s",
    name="A session",
    created_at_us=17,
    model="offline/echo",
    cwd="/somewhere",
    parent_session_id="parent",
    caused_by={"tool": "spawn"},
)


@pytest.fixture
def load(store):
    return lambda session_id="s": store.run(lambda work: metadata.load_meta(work, session_id))


@pytest.fixture
def create(store):
    return lambda meta: store.run(lambda work: metadata.create_session(work, meta))


@pytest.fixture
def save(store):
    return lambda meta: store.run(lambda work: metadata.save_meta(work, meta))


def test_metadata_comes_back_as_it_was(create, load):
    assert create(META) == META
    assert load() == META


def test_creating_never_overwrites(store, create, load):
    create(META)
    assert create(META.model_copy(update={"name": "Another"})) == META
    assert store.written == []
    assert load() == META


def test_saving_overwrites(save, load):
    save(META)
    changed = META.model_copy(update={"name": None, "cwd": "/elsewhere"})
    save(changed)
    assert load() == changed


def test_a_lease_alone_makes_no_metadata(store, create, load):
    assert load() is None
    fence = store.lease()
    assert load() is None
    create(META)
    assert store.heads["s"].lease.lease_token == fence.lease_token
    assert not store.heads["s"].is_session


def test_the_parent_is_noted_until_a_commit_has_its_own(store, create, save):
    create(META)
    assert store.heads["s"].row["parent_session_id"] == "parent"
    store.heads["s"] = store.heads["s"].changed({"head_revision": 1, "parent_session_id": None})
    save(META)
    assert store.heads["s"].row["parent_session_id"] is None


def test_metadata_of_another_version_are_refused(store, create, load):
    create(META)
    text = store.heads["s"].row["meta"].replace('"schema_version":1', '"schema_version":2')
    store.heads["s"] = store.heads["s"].changed({"meta": text})
    with pytest.raises(RecordVersionError, match="session metadata"):
        load()
