"""One open session, as applications use it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Literal

from lash_host.contracts.effect_host import EffectHost
from lash_host.domain.catalog import ToolState
from lash_host.domain.message import Message
from lash_host.domain.model import ModelSpec
from lash_host.domain.observation import TurnActivity
from lash_host.domain.policy import PluginOptions, ProtocolTurnOptions, SessionPolicy
from lash_host.domain.prompt import PromptLayer
from lash_host.domain.session import RuntimeSessionState, SessionReadView, SessionSnapshot
from lash_host.domain.turn import InputImage, InputText, TurnInput, TurnResult, as_turn_input
from lash_host.domain.usage import SessionUsageReport
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import UsageFault
from lash_host.plugin.session import PluginSession
from lash_host.runtime.activities import ActivityLog, ActivitySink
from lash_host.runtime.compacting import compact_session
from lash_host.runtime.exclusion import Exclusion, carry_to_end
from lash_host.runtime.lease_keeper import hold_lease
from lash_host.runtime.materializing import ResidentProtocolContext, materialize_protocol
from lash_host.runtime.reconfiguring import (
    OperationCall,
    append_messages,
    branch_session,
    change_policy,
    edit_tools,
    invoke_operation,
    open_frame,
    run_operation,
)
from lash_host.runtime.refreshing import refresh_under_lease, reload_session, replace_state
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
        self._exclusion = Exclusion(session.session_id)

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
        Cancelling it a second time, while it ends, drops the turn instead.

        Args:
            turn_input: Text, a list of texts and images, or a `TurnInput`.
            on_activity: Told what happens, as it happens; must not block. What it raises is logged.

        Returns:
            The result. Failing tools, failing models, limits and refused input are outcomes, not exceptions.

        Raises:
            SessionBusy: A turn runs in the session already, here or elsewhere.
            SessionLeaseLost: The session was taken over meanwhile; nothing was committed.
            MissingCredential, UnknownProvider, UnknownModel: The model cannot be asked.
            UnknownSession: The session was deleted.
            TurnAborted: A plugin failed where that fails the turn.
            TurnCommitConflict: The input's turn id was used before.
            StoreError: The turn could not be committed.
        """
        return await self._run_turn(turn_input, on_activity, lambda: False)

    def stream(self, turn_input: TurnInputLike) -> AsyncGenerator[TurnActivity, None]:
        """Run a turn and give what happens, as it happens; the last activity is `TurnFinished` with the result.

        Leaving the iteration early cancels the turn, which is committed as cancelled. What is asked of the session
        next waits for that.

        Raises:
            As `turn` does.
        """
        given: list[weakref.ref[AsyncGenerator[TurnActivity, None]]] = []
        stream = self._stream(turn_input, lambda: given[0]() is None)
        given.append(weakref.ref(stream))
        return stream

    async def _stream(
        self, turn_input: TurnInputLike, is_abandoned: Callable[[], bool]
    ) -> AsyncGenerator[TurnActivity, None]:
        activities: asyncio.Queue[TurnActivity | None] = asyncio.Queue()

        async def run() -> None:
            try:
                await self._run_turn(turn_input, activities.put_nowait, is_abandoned)
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

    async def _run_turn(
        self, turn_input: TurnInputLike, on_activity: ActivitySink | None, is_abandoned: Callable[[], bool]
    ) -> TurnResult:
        given = as_turn_input(turn_input)
        if given.turn_id is not None and not given.turn_id.strip():
            raise UsageFault("a turn id must not be blank")
        async with self._exclusion.hold(is_turn=True, is_abandoned=is_abandoned) as operation:
            request = TurnRequest(turn_input=given, emit=ActivityLog(on_activity), cancelled=operation.cancelled)
            work = run_turn(self._session, request)
            return await carry_to_end(work, operation, name=f"lash-turn-{self.session_id}")

    def cancel_running_turn(self) -> bool:
        """Ask the running turn to end. It is committed as cancelled, without partial prose.

        Returns:
            Whether a turn was running.
        """
        operation = self._exclusion.current
        if operation is None or not operation.is_turn:
            return False
        operation.cancelled.set()
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

        async with self._exclusion.hold() as operation:
            return await change_policy(self._session, change, cancelled=operation.cancelled)

    def set_protocol_turn_options(self, options: ProtocolTurnOptions) -> None:
        """Set the protocol's options on the session and its current frame; the next commit stores them."""
        ResidentProtocolContext(self._session).set_protocol_turn_options(options)

    def set_protocol_turn_options_all_frames(self, options: ProtocolTurnOptions) -> None:
        """Set the protocol's options on the session and every frame; the next commit stores them."""
        ResidentProtocolContext(self._session).set_protocol_turn_options_all_frames(options)

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
        async with self._exclusion.hold():
            return await edit_tools(self._session, lambda registry: registry.apply_state(state))

    async def restore_tool_state(self, state: ToolState) -> tuple[str, ...]:
        """Take over a tool state, generation included, and store it.

        Returns:
            Ids of tools that nobody provides now; they stay, and cannot be called.
        """
        async with self._exclusion.hold():
            return await edit_tools(self._session, lambda registry: registry.restore_state(state))

    async def set_tool_membership(self, names: Sequence[str], *, present: bool) -> int:
        """Let the session call tools, or not, by name; all or nothing. Stored at once.

        Returns:
            The new generation.

        Raises:
            ToolStateError: A name is unknown.
        """
        async with self._exclusion.hold():
            return await edit_tools(self._session, lambda registry: registry.set_membership(names, present=present))

    async def refresh_tool_catalog(self) -> None:
        """Ask the plugins for their tools again, and store what changed."""
        async with self._exclusion.hold():
            plugins = self._session.plugins
            await edit_tools(self._session, lambda registry: registry.refresh(plugins.export_tools()))

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
        async with self._exclusion.hold():
            return await append_messages(self._session, messages, requires_ancestor_node_id=requires_ancestor_node_id)

    async def branch_to_node(self, node_id: str) -> None:
        """Go on from another node; what came after it stays in the store, off the active path.

        Raises:
            UsageFault: No such node is in memory.
        """
        async with self._exclusion.hold():
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
        async with self._exclusion.hold():
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
        session = self._session
        async with (
            self._exclusion.hold() as operation,
            hold_lease(session.services, session.session_id, session.owner) as lease,
        ):
            await refresh_under_lease(session, lease)
            return await compact_session(session, instructions, lease, cancelled=operation.cancelled)

    # --- plugins --------------------------------------------------------------------------------

    async def invoke_plugin_operation(
        self, name: str, arguments: JsonObject | None = None, *, kind: Literal["query", "command", "task"] = "query"
    ) -> JsonValue:
        """Call an operation that a plugin brings.

        A query only reads, and may be called while a turn runs. What a command or a task changes of its plugin's state
        is stored at once; when one fails, it is taken back.

        Args:
            name: The operation.
            arguments: As its input schema wants them.
            kind: What it is.

        Returns:
            What it gives: a JSON value.

        Raises:
            UnknownOperation: There is none of this name and kind.
            InvalidOperationArguments: The arguments do not fit its schema.
            UsageFault: The operation refused what it was asked.
            PluginHookError: It failed.
            SessionBusy: A command or task was asked for while something is under way in the session.
        """
        call = OperationCall(name=name, kind=kind, arguments=arguments or {})
        if kind == "query":
            return await invoke_operation(self._session, call)
        async with self._exclusion.hold() as operation:
            return await run_operation(self._session, call, cancelled=operation.cancelled)

    # --- state ----------------------------------------------------------------------------------

    def apply_persistence_state(self, state: RuntimeSessionState) -> None:
        """Replace the resident state, tools and plugins included; a missing snapshot resets the plugins.

        All or nothing: if a plugin or the tools refuse, everything is as before. The next commit stores it, unless
        somebody else writes to the session before: what is stored then wins.

        Raises:
            SessionBusy: Something is under way in the session.
            SessionBindingMismatch: It is the state of another session.
            UsageFault: It must replace what is stored, and has not the whole graph in it.
            PluginSnapshotError: A plugin refused its state.
            ToolStateError: The tool state does not fit.
        """
        self._exclusion.ensure_free()
        replace_state(self._session, state)

    async def await_background_work(self) -> None:
        """Bring the session up to date with the store, if something else may have written to it."""
        async with self._exclusion.hold():
            await reload_session(self._session)

    async def close(self) -> None:
        """End the use of this object. What is under way is cancelled and waited for. Closing twice is no error."""
        await self._exclusion.close()

    async def __aenter__(self) -> LashRuntime:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
