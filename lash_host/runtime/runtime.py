"""One open session, as applications use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from lash_host.contracts.effect_host import EffectHost
from lash_host.domain.catalog import ToolState
from lash_host.domain.message import Message
from lash_host.domain.model import ModelSpec
from lash_host.domain.observation import TurnActivity
from lash_host.domain.plugin_state import PluginSnapshot
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions, SessionPolicy
from lash_host.domain.prompt import PromptLayer
from lash_host.domain.session import RuntimeSessionState, SessionReadView, SessionSnapshot
from lash_host.domain.turn import InputImage, InputText, TurnInput, TurnResult, as_turn_input
from lash_host.domain.usage import SessionUsageReport
from lash_host.domain.value import JsonObject
from lash_host.errors import PluginSnapshotError, SessionBusy, SessionClosed, ToolStateError
from lash_host.plugin.session import PluginSession
from lash_host.runtime.activities import ActivityLog, ActivitySink
from lash_host.runtime.compacting import compact_session
from lash_host.runtime.lease_keeper import hold_lease
from lash_host.runtime.materializing import materialize_protocol
from lash_host.runtime.reconfiguring import (
    append_messages,
    branch_session,
    change_policy,
    commit_tools,
    open_frame,
)
from lash_host.runtime.refreshing import refresh_under_lease, reload_session
from lash_host.runtime.resident import ResidentSession
from lash_host.runtime.turn_driver import TurnRequest, run_turn

__all__ = ["LashRuntime", "TurnInputLike"]

TurnInputLike = str | TurnInput | Sequence[str | InputText | InputImage]


class LashRuntime:
    """One open session.

    Made by `LashHost.session`. Use it from one event loop. It runs one turn at a time; several runtimes, in one
    process or many, may have the same session open, and take turns by its execution lease.
    """

    def __init__(self, session: ResidentSession) -> None:
        self._session = session
        self._cancelled: asyncio.Event | None = None
        self._working = False
        self._closed = False

    # --- what it is -----------------------------------------------------------------------------

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session.session_id

    @property
    def plugin_session(self) -> PluginSession:
        """The session's plugins."""
        return self._session.plugins

    @property
    def effect_host(self) -> EffectHost:
        """What runs the effects of its turns."""
        return self._session.services.effects

    @property
    def protocol_turn_options(self) -> ProtocolTurnOptions:
        """The protocol's options as recorded on the session."""
        return self._session.state.protocol_turn_options

    def read_view(self) -> SessionReadView:
        """Give the session as it is now, with effective policy and options. Later turns do not change the view."""
        return self._session.view

    def export_state(self) -> SessionSnapshot:
        """Give the session for inspection, without the bodies of its snapshots."""
        return SessionSnapshot.of(self._session.state)

    def export_persistence_state(self) -> RuntimeSessionState:
        """Give the resident state as it is."""
        return self._session.state

    def export_persisted_state(self) -> RuntimeSessionState:
        """Give the resident state with the tool and plugin state of this moment in it. Writes nothing.

        Raises:
            PluginSnapshotError: A plugin's state could not be captured.
        """
        session = self._session
        plugins = session.plugins.capture_snapshot(session.stored_snapshot)
        state, tools = session.state, session.registry.state
        return replace(
            state.with_protocol_options(state.protocol_turn_options, all_frames=False),
            session_graph=state.session_graph.healed(),
            tool_state=tools,
            tool_state_generation=tools.generation,
            plugin_snapshot=plugins,
            plugin_snapshot_revision=session.plugins.revision_fingerprint(),
        )

    def usage_report(self) -> SessionUsageReport:
        """Report what the session has spent since it began, what is not committed yet included."""
        return self._session.usage_report()

    # --- turns ----------------------------------------------------------------------------------

    async def turn(self, turn_input: TurnInputLike, *, on_activity: ActivitySink | None = None) -> TurnResult:
        """Run a turn to its end.

        Cancelling the awaiting task cancels the turn: it is committed as cancelled before the cancellation goes on.

        Args:
            turn_input: Text, a list of texts and images, or a `TurnInput`.
            on_activity: Told what happens, as it happens; must not block.

        Returns:
            The result. Failing tools, failing models, limits and refused input are outcomes, not exceptions.

        Raises:
            SessionBusy: A turn runs in the session already, here or elsewhere.
            MissingCredential, UnknownProvider, UnknownModel: The model cannot be asked.
            TurnAborted: A plugin failed where that fails the turn.
            StoreError: The turn could not be committed.
        """
        with self._exclusively():
            cancelled = asyncio.Event()
            request = TurnRequest(
                turn_input=as_turn_input(turn_input), emit=ActivityLog(on_activity), cancelled=cancelled
            )
            self._cancelled = cancelled
            task = asyncio.create_task(run_turn(self._session, request), name=f"lash-turn-{self.session_id}")
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                cancelled.set()
                await asyncio.wait({task})
                raise
            finally:
                self._cancelled = None

    async def stream(self, turn_input: TurnInputLike) -> AsyncGenerator[TurnActivity, None]:
        """Run a turn and give what happens, as it happens; the last activity is `TurnFinished` with the result.

        Leaving the iteration early cancels the turn, which is committed as cancelled.

        Raises:
            As `turn` does.
        """
        activities: asyncio.Queue[TurnActivity | None] = asyncio.Queue()

        async def run() -> None:
            try:
                await self.turn(turn_input, on_activity=activities.put_nowait)
            finally:
                activities.put_nowait(None)

        task = asyncio.create_task(run(), name=f"lash-stream-{self.session_id}")
        try:
            while (activity := await activities.get()) is not None:
                yield activity
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def cancel_running_turn(self) -> bool:
        """Ask the running turn to end. It is committed as cancelled, without partial prose.

        Returns:
            Whether a turn was running.
        """
        if self._cancelled is None:
            return False
        self._cancelled.set()
        return True

    # --- configuration --------------------------------------------------------------------------

    async def update_session_config(
        self,
        *,
        model: str | ModelSpec | None = None,
        provider: str | None = None,
        prompt: PromptLayer | None = None,
        max_turns: int | None = None,
    ) -> SessionPolicy:
        """Change the session's policy. Plugins may rewrite the change; what comes of it is stored at once.

        Args:
            model: ``provider/model``, or a model id of ``provider``.
            provider: Provider id.
            prompt: The session's own prompt layer.
            max_turns: The most model calls a turn may make.

        Returns:
            The policy in force now.
        """
        services = self._session.services

        def change(policy: SessionPolicy) -> SessionPolicy:
            updates: dict[str, object] = {}
            if model is not None or provider is not None:
                asked = policy.model.model_id if model is None else model
                updates["model"] = services.resolve_model(asked, provider_id=provider)
            if prompt is not None:
                updates["prompt"] = prompt
            if max_turns is not None:
                updates["max_turns"] = max_turns
            return policy.model_copy(update=updates)

        with self._exclusively():
            return await change_policy(self._session, change)

    def set_protocol_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Set the protocol's options on the session and its current frame; the next commit stores them."""
        self._session.state = self._session.state.with_protocol_options(options, all_frames=False)

    def set_protocol_turn_options_all_frames(self, options: ProtocolTurnOptions) -> None:
        """Set the protocol's options on the session and every frame; the next commit stores them."""
        self._session.state = self._session.state.with_protocol_options(options, all_frames=True)

    def configure_protocol_on_materialize(self, plugin_options: PluginOptions, *, is_root_session: bool) -> None:
        """Run the protocol's materialization hook against this session.

        Raises:
            PluginHookError: It failed.
        """
        materialize_protocol(self._session, plugin_options, is_root_session=is_root_session)

    # --- tools ----------------------------------------------------------------------------------

    def tool_state(self) -> ToolState:
        """Give the session's tools: which there are, and which it may call."""
        return self._session.registry.export_state()

    def tool_catalog(self) -> list[JsonObject]:
        """List the tools that can be called now: id, name, description, bindings, activation."""
        return self._session.catalog().export()

    async def apply_tool_state(self, state: ToolState) -> int:
        """Put an edited tool state in force, and store it.

        Returns:
            The new generation.

        Raises:
            GenerationMismatch: It was edited from another generation.
            ToolStateError: It names tools nobody provides.
        """
        with self._exclusively():
            generation = self._session.registry.apply_state(state)
            await commit_tools(self._session)
            return generation

    async def restore_tool_state(self, state: ToolState) -> tuple[str, ...]:
        """Take over a tool state, generation included, and store it.

        Returns:
            Ids of tools that nobody provides now; they stay, and cannot be called.
        """
        with self._exclusively():
            orphaned = self._session.registry.restore_state(state)
            await commit_tools(self._session)
            return orphaned

    async def set_tool_membership(self, names: Sequence[str], *, present: bool) -> int:
        """Let the session call tools, or not, by name; all or nothing. Stored at once.

        Returns:
            The new generation.

        Raises:
            ToolStateError: A name is unknown.
        """
        with self._exclusively():
            generation = self._session.registry.set_membership(names, present=present)
            await commit_tools(self._session)
            return generation

    async def refresh_tool_catalog(self) -> None:
        """Ask the plugins for their tools again, and store what changed."""
        with self._exclusively():
            if self._session.registry.refresh(self._session.plugins.export_tools()):
                await commit_tools(self._session)

    # --- history and frames ---------------------------------------------------------------------

    async def append_session_nodes(
        self, messages: Sequence[Message], *, requires_ancestor_node_id: str | None = None
    ) -> tuple[str, ...]:
        """Append messages to the session, and store them.

        Args:
            messages: What to append.
            requires_ancestor_node_id: Refuse if this node is not on the active path.

        Returns:
            The ids of the new nodes.

        Raises:
            StaleBranch: The ancestor is not on the active path.
        """
        with self._exclusively():
            return await append_messages(self._session, messages, requires_ancestor_node_id=requires_ancestor_node_id)

    async def branch_to_node(self, node_id: str) -> None:
        """Go on from another node; what came after it stays in the store, off the active path.

        Raises:
            UsageFault: No such node is in memory.
        """
        with self._exclusively():
            await branch_session(self._session, node_id)

    async def open_agent_frame(
        self, frame_id: str, *, reason: str = "continue_as", initial_messages: Sequence[Message] = ()
    ) -> tuple[str, bool]:
        """Open an agent frame: the model sees only what is in it. Stored at once.

        Returns:
            The current frame's id, and whether it was opened: a blank id and the current frame's change nothing.

        Raises:
            UsageFault: The session had that frame before.
        """
        with self._exclusively():
            return await open_frame(self._session, frame_id, reason=reason, initial_messages=initial_messages)

    async def compact_context(self, instructions: str | None = None) -> bool:
        """Let a plugin summarize the session into a fresh frame. History stays as it is. Stored at once.

        Args:
            instructions: What to keep or to leave out.

        Returns:
            Whether there was anything to compact.

        Raises:
            CompactionError: A plugin failed; the session is unchanged.
        """
        with self._exclusively():
            session = self._session
            async with hold_lease(session.services, session.session_id, session.owner) as lease:
                await refresh_under_lease(session, lease)
                return await compact_session(session, instructions, lease)

    # --- state ----------------------------------------------------------------------------------

    def apply_persistence_state(self, state: RuntimeSessionState) -> None:
        """Replace the resident state, tools and plugins included; a missing snapshot resets the plugins.

        All or nothing: if a plugin or the tools refuse, everything is as before.

        Raises:
            PluginSnapshotError: A plugin refused its state.
            ToolStateError: The tool state does not fit.
        """
        session = self._session
        tools_before = session.registry.state
        if state.tool_state is not None:
            session.registry.restore_state(state.tool_state)
        try:
            session.plugins.restore_snapshot(state.plugin_snapshot or PluginSnapshot())
        except (PluginSnapshotError, ToolStateError):
            session.registry.restore_state(tools_before)
            raise
        healed = state.session_graph.healed()
        replace_graph = state.graph_replace_required or healed is not state.session_graph
        session.state = replace(
            state,
            session_graph=healed,
            graph_replace_required=replace_graph,
            plugin_snapshot_revision=None,
            tool_state_generation=None,
        )

    async def await_background_work(self) -> None:
        """Bring the session up to date with the store, if something else may have written to it."""
        with self._exclusively():
            await reload_session(self._session)

    async def close(self) -> None:
        """End the use of this object. A running turn is cancelled first. Closing twice is no error."""
        if self._cancelled is not None:
            self._cancelled.set()
        self._closed = True

    async def __aenter__(self) -> LashRuntime:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        if self._closed:
            raise SessionClosed(self.session_id)
        if self._working:
            raise SessionBusy(self.session_id, holder="this runtime")
        self._working = True
        try:
            yield
        finally:
            self._working = False
