"""`SessionPlugin`: state that lasts, its revision, its migration, and typed options."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from lash_host.domain.plugin_state import PluginSnapshot, PluginSnapshotEntry
from lash_host.errors import InvalidPluginOptions, PluginSnapshotError
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.plugin.host import SessionRequest
from lash_host.plugin.session_plugin import SessionPlugin
from lash_host.plugin.tool_decorator import tool


class Notes(BaseModel):
    lines: list[str] = []
    tags: set[str] = set()
    scores: dict[str, float] = Field(default={}, alias="scoresByName")


class NotesPlugin(SessionPlugin[Notes]):
    @tool
    async def add_note(self, text: str) -> int:
        """Remember one line."""
        self.state.lines.append(text)
        return len(self.state.lines)


def context(**changes) -> PluginSessionContext:
    return PluginSessionContext(**{"plugin_id": "notes", "plugin_version": "2", "session_id": "s", **changes})


@pytest.fixture
def open_session(make_host, host_plugin, protocol):
    """Open a session of one plugin class, and give the session and the plugin."""

    def make(cls: type, version: str = "2"):
        made = []
        notes = host_plugin("notes", lambda context: made.append(cls(context)) or made[-1], version=version)
        session = make_host(notes, protocol).build_session(SessionRequest(session_id="s"))
        return session, made[0]

    return make


def stored(state, version="2") -> PluginSnapshot:
    return PluginSnapshot(plugins={"notes": PluginSnapshotEntry(plugin_version=version, state=state)})


def test_state_starts_as_the_default_and_comes_back(open_session):
    session, plugin = open_session(NotesPlugin)
    assert plugin.state == Notes()
    assert plugin.session_id == "s"
    plugin.state.lines.append("milk")
    plugin.state.tags.add("food")
    plugin.state.scores["a"] = 0.5
    captured = PluginSnapshot.model_validate_json(session.capture_snapshot(None).model_dump_json())
    again, resumed = open_session(NotesPlugin)
    again.restore_snapshot(captured)
    assert resumed.state == plugin.state
    assert resumed.state is not plugin.state
    again.restore_snapshot(PluginSnapshot())
    assert resumed.state == Notes()


def test_every_change_in_place_changes_the_revision(open_session):
    session, plugin = open_session(NotesPlugin)
    fingerprints = [session.revision_fingerprint()]
    assert session.revision_fingerprint() == fingerprints[0]
    for change in (
        lambda: plugin.state.lines.append("a"),
        lambda: plugin.state.scores.update(x=1.0),
        lambda: setattr(plugin, "state", Notes(lines=["b"])),
    ):
        change()
        fingerprints.append(session.revision_fingerprint())
    assert len(set(fingerprints)) == 4
    plugin.state = Notes()
    assert session.revision_fingerprint() == fingerprints[0]


def test_equal_states_have_equal_revisions_everywhere(open_session):
    revisions = {open_session(NotesPlugin)[1].lash_snapshot_revision() for _ in range(2)}
    assert len(revisions) == 1
    assert 0 <= revisions.pop() < 2**63


def test_a_plugin_without_state_has_none():
    class Plain(SessionPlugin): ...

    class Declared(SessionPlugin[None]): ...

    assert Plain(context()).state is None
    assert Declared(context()).state is None
    assert Plain(context()).lash_snapshot_revision() == 0


def test_a_plugin_without_state_is_captured_as_nothing(open_session):
    class Plain(SessionPlugin): ...

    session, _ = open_session(Plain)
    assert session.capture_snapshot(None).plugins["notes"].state is None
    session.restore_snapshot(stored({"left": "over"}))


def test_the_state_type_is_found_through_classes_in_between():
    T = TypeVar("T", bound=BaseModel)

    class Generic1(SessionPlugin[T], Generic[T]): ...

    class Concrete(Generic1[Notes]): ...

    class Below(NotesPlugin): ...

    class Mixed(Below, Generic[T]): ...

    for cls in (Concrete, Below, Mixed):
        assert isinstance(cls(context()).state, Notes)


def test_a_state_type_that_cannot_work_is_told_when_it_is_written():
    class Needy(BaseModel):
        line: str

    with pytest.raises(TypeError, match="every field of Needy, the state of Bad, needs a default; line has none"):

        class Bad(SessionPlugin[Needy]): ...

    with pytest.raises(TypeError, match="must be a pydantic model"):

        class Worse(SessionPlugin[dict]): ...


def test_an_older_state_is_migrated(open_session):
    class Migrating(NotesPlugin):
        asked: ClassVar[list[str]] = []

        def migrate_state(self, state, *, from_version):
            self.asked.append(from_version)
            return {"lines": state["items"]}

    session, plugin = open_session(Migrating)
    session.restore_snapshot(stored({"items": ["a"]}, version="1"))
    assert (plugin.state.lines, plugin.asked) == (["a"], ["1"])
    session.restore_snapshot(stored({"lines": ["b"]}, version="2"))
    assert (plugin.state.lines, plugin.asked) == (["b"], ["1"])


def test_a_state_that_does_not_fit_names_the_versions_and_the_field(open_session):
    session, plugin = open_session(NotesPlugin)
    plugin.state.lines.append("kept")
    with pytest.raises(PluginSnapshotError) as caught:
        session.restore_snapshot(stored({"lines": "oops"}, version="1"))
    assert str(caught.value) == (
        "plugin 'notes': restore of its state failed: what version 1 stored does not fit Notes of version 2: "
        "lines: Input should be a valid array"
    )
    assert plugin.state.lines == ["kept"]


def test_a_state_that_could_not_be_read_back_is_not_stored(open_session):
    session, plugin = open_session(NotesPlugin)
    plugin.state.scores["x"] = float("nan")
    with pytest.raises(PluginSnapshotError, match=r"it could not be read back: scoresByName.x"):
        session.capture_snapshot(None)
    plugin.state = {"lines": []}
    with pytest.raises(PluginSnapshotError, match="state is a dict, not a Notes"):
        session.capture_snapshot(None)


def test_a_strict_state_comes_back_from_json(open_session):
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid")
        tags: set[str] = {"a"}
        pair: tuple[int, int] = (1, 2)

    class StrictPlugin(SessionPlugin[Strict]): ...

    session, plugin = open_session(StrictPlugin)
    session.restore_snapshot(session.capture_snapshot(None))
    assert plugin.state == Strict()


class Options(BaseModel):
    size: int = 1
    label: str = Field(default="", alias="name")


class Sized(SessionPlugin):
    options_type = Options


def test_options_are_typed():
    assert Sized(context(plugin_options={"size": 3, "name": "x"})).options == Options(size=3, name="x")
    assert SessionPlugin(context(plugin_options={"any": 1})).options == {"any": 1}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "big"}, "size: Input should be a valid integer"),
        ({"siez": 1}, "unknown option 'siez'; did you mean 'size'?"),
        ({"colour": 1}, "unknown option 'colour'; known: label, name, size"),
    ],
)
def test_options_that_do_not_fit_name_the_field(options, said):
    with pytest.raises(InvalidPluginOptions, match="options of plugin 'notes'") as caught:
        Sized(context(plugin_options=options))
    assert said in str(caught.value)


def test_open_options_take_anything():
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    class Plugin(SessionPlugin):
        options_type = Open

    assert Plugin(context(plugin_options={"x": 1})).options.x == 1


def test_tools_come_in_the_order_they_are_written():
    class Base(SessionPlugin):
        @tool
        def zulu(self): ...

        @tool(name="mike", scheduling="serial")
        def second(self): ...

        @tool
        def gone(self): ...

    class Plugin(Base):
        gone = None

        @tool
        def alpha(self): ...

        def second(self, text: str):
            """Do it better."""

    (provider,) = Plugin(context()).lash_export_tools()
    manifests = provider.manifests()
    assert [manifest.tool_id for manifest in manifests] == ["notes.zulu", "notes.mike", "notes.alpha"]
    assert (manifests[1].scheduling, manifests[1].description) == ("serial", "Do it better.")
    assert "text" in provider.contract("notes.mike").input_schema["properties"]
    (base,) = Base(context()).lash_export_tools()
    assert base.contract("notes.mike").input_schema["properties"] == {}


def test_a_plugin_without_tools_exports_none():
    assert SessionPlugin(context()).lash_export_tools() == ()


async def test_a_tool_changes_the_state(open_session, call_context):
    session, plugin = open_session(NotesPlugin)
    (owned,) = session.export_tools()
    output = await owned.value.execute("notes.add_note", {"text": "milk"}, call_context)
    assert (owned.plugin_id, output.outcome.value, plugin.state.lines) == ("notes", 1, ["milk"])


def test_signatures_are_read_once_for_all_sessions():
    first, second = NotesPlugin(context()), NotesPlugin(context(session_id="t"))
    contracts = [plugin.lash_export_tools()[0].contract("notes.add_note") for plugin in (first, second)]
    assert contracts[0] is contracts[1]
