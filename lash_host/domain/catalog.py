"""Tool state: which tools a session has, which of them it may call, which generation that is, and how it may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from lash_host.domain.tool import ToolManifest
from lash_host.domain.value import Value
from lash_host.errors import GenerationMismatch, ToolStateError

__all__ = [
    "ToolState",
    "ToolStateEntry",
    "apply_tool_state",
    "ids_by_name",
    "initial_tool_state",
    "refresh_tool_state",
    "restore_tool_state",
    "set_membership",
]


class ToolStateEntry(Value):
    """One tool of a session.

    Attributes:
        manifest: What it says of itself.
        member: Whether the session may call it. Kept through everything, by tool id.
        orphaned: Nobody provides it now; it cannot be called until somebody does.
    """

    manifest: ToolManifest
    member: bool = True
    orphaned: bool = False

    @property
    def is_callable(self) -> bool:
        """Whether it is in the catalog."""
        return self.member and not self.orphaned


class ToolState(Value):
    """The tools of a session by tool id. The generation grows with every change and is what an edit must name.

    `removed` are the ids of tools that plugins provide and an edit left out on purpose: a resumed session must not
    take them for tools of a newly installed plugin.
    """

    schema_version: Literal[1] = 1
    generation: int = Field(ge=0)
    tools: dict[str, ToolStateEntry] = Field(default_factory=dict)
    removed: tuple[str, ...] = ()

    @property
    def callable_manifests(self) -> tuple[ToolManifest, ...]:
        """The manifests of the catalog, by tool id."""
        return tuple(self.tools[tool_id].manifest for tool_id in sorted(self.tools) if self.tools[tool_id].is_callable)

    @property
    def orphaned_ids(self) -> tuple[str, ...]:
        """The tools that nobody provides now, by tool id."""
        return tuple(tool_id for tool_id in sorted(self.tools) if self.tools[tool_id].orphaned)


def initial_tool_state(live: Mapping[str, ToolManifest]) -> ToolState:
    """Make the state of a fresh session: every tool that is provided is a member, generation 1."""
    return ToolState(generation=1, tools={tool_id: ToolStateEntry(manifest=live[tool_id]) for tool_id in sorted(live)})


def restore_tool_state(stored: ToolState, live: Mapping[str, ToolManifest]) -> ToolState:
    """Bind a stored state to the tools that are provided now.

    The stored generation and the member flags are taken over as they are; what a tool says of itself now wins over
    what it said then; a tool that nobody provides stays as an orphan with its last manifest. Restoring the result
    again changes nothing.

    The reference leaves tools out that are provided but not stored. Here they join as members, so that a resumed
    session gets the tools of a plugin that was installed meanwhile, and only then the generation grows by one.
    Tools that an edit removed stay away, and an orphan makes room for a newcomer of its name.

    Args:
        stored: The state as it was stored.
        live: What plugins provide now, by tool id.

    Raises:
        ToolStateError: A key of the stored state is not the id of its manifest.
    """
    _check_keys(stored)
    kept = {tool_id: _bind(entry, live.get(tool_id)) for tool_id, entry in stored.tools.items()}
    removed = frozenset(stored.removed)
    added = {
        tool_id: ToolStateEntry(manifest=manifest)
        for tool_id, manifest in live.items()
        if tool_id not in kept and tool_id not in removed
    }
    if not added:
        return ToolState(generation=stored.generation, tools=_sorted(kept), removed=stored.removed)
    tools = _without_superseded(kept, added) | added
    return ToolState(generation=stored.generation + 1, tools=_sorted(tools), removed=stored.removed)


def apply_tool_state(current: ToolState, edited: ToolState, live: Mapping[str, ToolManifest]) -> ToolState:
    """Take over an edited export of the current state, one generation on.

    Member flags are taken from the edit, manifests from what is provided now. Tools that the edit leaves out are
    removed; they come back with the next refresh, or when an edit names them.

    Args:
        current: The state to replace.
        edited: What it shall be. Its generation says which state was edited.
        live: What plugins provide now, by tool id.

    Raises:
        GenerationMismatch: The state changed since it was exported.
        ToolStateError: An entry that is no orphan is provided by nobody, or a key is not the id of its manifest.
    """
    if edited.generation != current.generation:
        raise GenerationMismatch(expected=edited.generation, actual=current.generation)
    _check_keys(edited)
    unresolved = sorted(k for k, entry in edited.tools.items() if k not in live and not entry.orphaned)
    if unresolved:
        raise ToolStateError(f"no registered tool source resolves tool id {unresolved[0]!r}")
    tools = {tool_id: _bind(entry, live.get(tool_id)) for tool_id, entry in edited.tools.items()}
    removed = (frozenset(current.removed) | frozenset(live)) - frozenset(tools)
    return ToolState(generation=current.generation + 1, tools=_sorted(tools), removed=tuple(sorted(removed)))


def refresh_tool_state(current: ToolState, live: Mapping[str, ToolManifest]) -> ToolState:
    """Bring the state up to date with what is provided now.

    New tools join as members, removed ones come back, orphans that are provided again are bound again, and orphans
    whose id or name is taken are dropped. A tool that is not provided any more vanishes; one that was switched off
    stays as an orphan, so that it is still off when it comes back.

    Returns:
        The state one generation on, or ``current`` itself when nothing changed: an unchanged refresh costs no
        snapshot. (The reference counts every refresh.)
    """
    remembered = {
        tool_id: entry.model_copy(update={"orphaned": True})
        for tool_id, entry in current.tools.items()
        if tool_id not in live and (entry.orphaned or not entry.member)
    }
    bound = {
        tool_id: ToolStateEntry(manifest=manifest, member=_is_member(current, tool_id))
        for tool_id, manifest in live.items()
    }
    tools = _without_superseded(remembered, bound) | bound
    if tools == current.tools:
        return current
    removed = tuple(tool_id for tool_id in current.removed if tool_id not in live)
    return ToolState(generation=current.generation + 1, tools=_sorted(tools), removed=removed)


def set_membership(state: ToolState, names: Sequence[str], *, present: bool) -> ToolState:
    """Let the session call tools, or stop it, by their names: all of them or, if one is unknown, none.

    Returns:
        The state one generation on, however many names there were, or ``state`` itself when nothing changed.

    Raises:
        ToolStateError: A name is unknown.
    """
    by_name = ids_by_name(state)
    for name in names:
        if name not in by_name:
            raise ToolStateError(f"unknown tool `{name}`")
    changed = {
        tool_id: state.tools[tool_id].model_copy(update={"member": present})
        for tool_id in (by_name[name] for name in names)
        if state.tools[tool_id].member != present
    }
    if not changed:
        return state
    return state.model_copy(update={"generation": state.generation + 1, "tools": {**state.tools, **changed}})


def ids_by_name(state: ToolState) -> dict[str, str]:
    """Give the tool id behind each name. A tool that is provided comes before an orphan of its name."""
    ranked = sorted(state.tools.items(), key=lambda item: (not item[1].orphaned, item[0]))
    return {entry.manifest.name: tool_id for tool_id, entry in ranked}


def _check_keys(state: ToolState) -> None:
    for tool_id, entry in state.tools.items():
        if tool_id != entry.manifest.tool_id:
            raise ToolStateError(f"tool state has {entry.manifest.tool_id!r} under the id {tool_id!r}")


def _bind(entry: ToolStateEntry, live: ToolManifest | None) -> ToolStateEntry:
    if live is None:
        return entry.model_copy(update={"orphaned": True})
    return ToolStateEntry(manifest=live, member=entry.member)


def _is_member(state: ToolState, tool_id: str) -> bool:
    entry = state.tools.get(tool_id)
    return entry is None or entry.member


def _without_superseded(
    tools: Mapping[str, ToolStateEntry], newcomers: Mapping[str, ToolStateEntry]
) -> dict[str, ToolStateEntry]:
    names = {entry.manifest.name for entry in newcomers.values()}
    return {
        tool_id: entry
        for tool_id, entry in tools.items()
        if tool_id not in newcomers and not (entry.orphaned and entry.manifest.name in names)
    }


def _sorted(tools: Mapping[str, ToolStateEntry]) -> dict[str, ToolStateEntry]:
    return {tool_id: tools[tool_id] for tool_id in sorted(tools)}
