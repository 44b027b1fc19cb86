"""An open session: its resident state, its plugins and tools, and what waits for the next commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lash_host.domain.commit import ModelCallFact
from lash_host.domain.graph import SessionNode, message_node, unique_node_id
from lash_host.domain.lease import LeaseOwner
from lash_host.domain.message import Message
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.policy import PluginOptions
from lash_host.domain.session import Residency, RuntimeSessionState, SessionReadView
from lash_host.domain.usage import SessionUsageReport, TokenLedgerEntry
from lash_host.plugin.session import PluginSession
from lash_host.runtime.services import HostServices
from lash_host.tools.catalog import CatalogCache, ToolCatalog
from lash_host.tools.registry import ToolRegistry

__all__ = ["Amendment", "ResidentSession", "chain_nodes"]


Amendment = Callable[[RuntimeSessionState], RuntimeSessionState]


class ResidentSession:
    """Everything of an open session. `LashRuntime` is its public face; turns and commits work on it.

    Attributes:
        services: What the host shares.
        state: The resident state; replaced, never edited.
        plugins: The session's plugins.
        registry: The session's tools.
        catalogs: The catalog, made again only when something changed.
        owner: Who this object is to the lease.
        parent_session_id: The session that created this one.
        plugin_options: The options it was opened with.
        residency: How much of the graph is kept.
        staged_calls: Model calls that no commit has taken yet.
        blobs: Bytes of images that were used lately.
        fencing_token: The token of the last lease held here; None before the first.
        needs_reload: Whether memory may differ from the store, plugins included.
        stored_snapshot: The plugin snapshot as it is stored, or will be with the first turn; keeps the state of plugins
            that are not installed now.
        amendments: What shall be otherwise than it is stored, until a commit has stored it.
        unseen_plugins: Whether no commit has recorded yet which plugins there are.
    """

    def __init__(
        self,
        *,
        services: HostServices,
        state: RuntimeSessionState,
        plugins: PluginSession,
        registry: ToolRegistry,
        owner: LeaseOwner,
        parent_session_id: str | None,
        plugin_options: PluginOptions,
        residency: Residency,
    ) -> None:
        self.services = services
        self.state = state
        self.plugins = plugins
        self.registry = registry
        self.catalogs = CatalogCache()
        self.owner = owner
        self.parent_session_id = parent_session_id
        self.plugin_options = plugin_options
        self.residency = residency
        self.staged_calls: list[ModelCallFact] = []
        self.blobs: dict[str, bytes] = {}
        self.fencing_token: int | None = None
        self.needs_reload = False
        self.unseen_plugins = True
        self.stored_snapshot: PluginSnapshot | None = None
        self.amendments: tuple[Amendment, ...] = ()

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.state.session_id

    @property
    def view(self) -> SessionReadView:
        """The session as others may see it."""
        return SessionReadView(self.state)

    def amend(self, change: Amendment) -> None:
        """Change the state in memory. The next commit stores it; until then it outlives every reload."""
        self.state = change(self.state)
        self.amendments = (*self.amendments, change)

    def amended(self, state: RuntimeSessionState, amendments: Sequence[Amendment] | None = None) -> RuntimeSessionState:
        """Give a state with the amendments made to it: all, or those given."""
        for change in self.amendments if amendments is None else amendments:
            state = change(state)
        return state

    def catalog(self) -> ToolCatalog:
        """Give the tools the session may call now."""
        access = self.state.current_frame.assignment.tool_access
        extensions = self.services.plugins.extensions()
        return self.catalogs.get(self.registry, self.plugins, tool_access=access, extensions=extensions)

    def usage_report(self) -> SessionUsageReport:
        """Report what the session spent, what is not committed yet included."""
        staged = (TokenLedgerEntry(source=c.source, model=c.model, usage=c.usage) for c in self.staged_calls)
        return SessionUsageReport.from_entries((*self.state.token_ledger, *staged))

    def forget_images(self) -> None:
        """Drop the bytes of images that the current frame does not show; they can be loaded again."""
        if self.blobs:
            shown = self.state.session_graph.frame_images(self.state.current_agent_frame_id)
            self.blobs = {ref: data for ref, data in self.blobs.items() if ref in shown}

    def disown_calls(self) -> None:
        """Part the staged model calls from their turn, which failed: what they cost is booked, but there is no turn.

        They get ids of their own, because a turn of the same id may be run again.
        """
        self.staged_calls = [
            call
            if call.turn_id is None
            else call.model_copy(
                update={"turn_id": None, "call_id": f"{call.call_id}:failed:{self.services.ids('call')}"}
            )
            for call in self.staged_calls
        ]

    def message_nodes(self, messages: Sequence[Message]) -> tuple[SessionNode, ...]:
        """Make nodes of messages, one after another from the leaf; transient messages are left out."""
        return chain_nodes(
            self.state, messages, frame_id=self.state.current_agent_frame_id, now_us=self.services.clock.now_us()
        )


def chain_nodes(
    state: RuntimeSessionState, messages: Sequence[Message], *, frame_id: str, now_us: int, after: str | None = None
) -> tuple[SessionNode, ...]:
    """Make nodes of messages for a frame, the first below ``after`` or else below the leaf."""
    nodes: list[SessionNode] = []
    taken: set[str] = set()
    parent = state.session_graph.leaf_node_id if after is None else after
    for message in messages:
        if message.is_transient:
            continue
        node_id = unique_node_id(message.message_id, taken=lambda key: key in taken or key in state.session_graph)
        taken.add(node_id)
        nodes.append(
            message_node(message, node_id=node_id, parent_node_id=parent, frame_id=frame_id, created_at_us=now_us)
        )
        parent = node_id
    return tuple(nodes)
