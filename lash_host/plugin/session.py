"""The plugins of one session: one typed method for each hook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lash_host.contracts.protocol import TurnProtocol
from lash_host.contracts.tool import ToolProvider
from lash_host.domain.commit import HookCallFact, PluginSeen
from lash_host.domain.compaction import ContextCompaction
from lash_host.domain.directive import (
    Directive,
    DirectiveFold,
    DirectivePoint,
    IllegalDirective,
    Owned,
    fold_directives,
)
from lash_host.domain.message import Part
from lash_host.domain.plugin_state import PluginSnapshot, PluginStamp, revision_fingerprint
from lash_host.domain.policy import SessionPolicy
from lash_host.domain.prompt import PromptContribution, merge_plugin_contributions
from lash_host.domain.value import JsonObject, JsonValue
from lash_host.errors import CompactionError, PluginHookError
from lash_host.hookspecs.catalog import ToolCatalogContext
from lash_host.hookspecs.compaction import CompactionContext
from lash_host.hookspecs.config import SessionConfigChange
from lash_host.hookspecs.operation import OperationContext, PluginOperation
from lash_host.hookspecs.prompt import PromptContext
from lash_host.hookspecs.protocol import CodeExecutor
from lash_host.hookspecs.stream import ResponseTransform, StreamChunk, StreamFinishedContext
from lash_host.hookspecs.tool_call import AfterToolCallContext, BeforeToolCallContext, ToolProjectionContext
from lash_host.hookspecs.turn import (
    AfterTurnContext,
    BeforeTurnContext,
    CheckpointContext,
    LifecycleEvent,
    PreparedContext,
    SessionReadyContext,
    TurnTransformContext,
)
from lash_host.plugin.counters import HookCounters
from lash_host.plugin.dispatch import Dispatcher
from lash_host.plugin.operations import invoke
from lash_host.plugin.snapshots import Snapshots

__all__ = ["PluginSession", "SessionParts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionParts:
    """What a `PluginSession` is made of. `PluginHost.build_session` makes it."""

    session_id: str
    plugin_ids: tuple[str, ...]
    seen: tuple[PluginSeen, ...]
    protocol: Owned[TurnProtocol]
    code_executor: CodeExecutor | None
    operations: Mapping[str, Owned[PluginOperation]]
    dispatcher: Dispatcher
    snapshots: Snapshots
    counters: HookCounters


class PluginSession:
    """The plugins of one session.

    Each method that calls a hook does it in the hook's mode and checks what it is answered. Where nothing else is
    said, it raises `PluginHookError`, which names the plugin and the hook; a cancellation passes untouched.

    Attributes:
        session_id: The session.
        plugin_ids: Its plugins, in plugin order.
        seen: The plugins of the host when the session was opened, with their versions.
        protocol: How it talks with its model.
        protocol_plugin_id: The plugin that brought the protocol.
        code_executor: Runs code for the protocol; None where no plugin brings one.
        operations: What a host application can call, by name.
        has_stream_transform: Whether any plugin rewrites streamed text.
    """

    def __init__(self, parts: SessionParts) -> None:
        self.session_id = parts.session_id
        self.plugin_ids = parts.plugin_ids
        self.seen = parts.seen
        self.protocol = parts.protocol.value
        self.protocol_plugin_id = parts.protocol.plugin_id
        self.code_executor = parts.code_executor
        self.operations = dict(parts.operations)
        self._dispatcher = parts.dispatcher
        self._snapshots = parts.snapshots
        self._counters = parts.counters
        self.has_stream_transform = self.has_hook("lash_transform_stream")

    def has_hook(self, name: str) -> bool:
        """Whether any plugin implements this session hook."""
        return bool(self._dispatcher.implementations(name))

    # --- tools ----------------------------------------------------------------------------------

    def export_tools(self) -> tuple[Owned[ToolProvider], ...]:
        """Gather the tool providers of all plugins, in plugin order."""
        return _flatten(self._dispatcher.collect("lash_export_tools"))

    def filter_tool_catalog(self, context: ToolCatalogContext) -> frozenset[str]:
        """Gather the names of tools to remove; every plugin sees the same unfiltered list."""
        answers = self._dispatcher.collect("lash_filter_tool_catalog", context)
        return frozenset(name for _, names in answers for name in names)

    async def before_tool_call(self, context: BeforeToolCallContext) -> DirectiveFold:
        """Ask about a call that is about to be made."""
        return await self._directives(DirectivePoint.BEFORE_TOOL_CALL, context)

    async def after_tool_call(self, context: AfterToolCallContext) -> DirectiveFold:
        """Ask about a call that has a result."""
        return await self._directives(DirectivePoint.AFTER_TOOL_CALL, context)

    def project_tool_result(self, context: ToolProjectionContext) -> Sequence[Part] | None:
        """Say what the model sees of a result; None means: what the host would show."""
        found = self._dispatcher.single("lash_project_tool_result")
        parts: Sequence[Part] | None = None if found is None else self._dispatcher.call(found, context)
        return parts

    # --- state ----------------------------------------------------------------------------------

    @property
    def stamps(self) -> tuple[PluginStamp, ...]:
        """The same as `revision_stamps`."""
        return self.revision_stamps()

    def revision_stamps(self) -> tuple[PluginStamp, ...]:
        """Say which revision each plugin's state has, in plugin order. Raises nothing: who cannot say has changed."""
        return self._snapshots.stamps()

    def revision_fingerprint(self) -> int:
        """Give one number that changes whenever the state of any plugin does."""
        return revision_fingerprint(self.revision_stamps())

    def capture_snapshot(self, previous: PluginSnapshot | None) -> PluginSnapshot:
        """Capture the state of all plugins.

        Args:
            previous: The stored snapshot; what it holds of plugins that are not here now is kept.

        Raises:
            PluginSnapshotError: One plugin failed; there is no snapshot.
        """
        return self._snapshots.capture(previous)

    def restore_snapshot(self, snapshot: PluginSnapshot) -> None:
        """Give every plugin its state back. A plugin that the snapshot has nothing of goes back to its default.

        Raises:
            PluginSnapshotError: One plugin failed; all have the state they had before.
        """
        self._snapshots.restore(snapshot)

    # --- opening, configuring, compacting -------------------------------------------------------

    async def session_ready(self, context: SessionReadyContext) -> None:
        """Tell all plugins that the session is built, in plugin order."""
        await self._dispatcher.notify("lash_session_ready", context)

    async def mutate_session_config(self, change: SessionConfigChange, policy: SessionPolicy) -> SessionPolicy:
        """Have plugins rewrite a change of policy. One that fails is skipped and reported; nothing is raised."""
        return await self._dispatcher.chain_async("lash_mutate_session_config", policy, change, skip_failing=True)

    async def compact_context(self, context: CompactionContext) -> Owned[ContextCompaction] | None:
        """Ask for a compaction; the first that has a seed wins. None where no plugin compacts.

        Raises:
            CompactionError: A plugin failed before any gave a seed.
        """
        try:
            return await self._dispatcher.first("lash_compact_context", context, is_empty=_is_empty_compaction)
        except PluginHookError as exc:
            raise CompactionError(str(exc)) from exc

    # --- turns ----------------------------------------------------------------------------------

    async def transform_turn_context(self, context: TurnTransformContext, prepared: PreparedContext) -> PreparedContext:
        """Have plugins change what the model sees this turn."""
        return await self._dispatcher.chain_async("lash_transform_turn_context", prepared, context)

    async def contribute_prompt(self, context: PromptContext) -> tuple[PromptContribution, ...]:
        """Gather prompt contributions, without repeats, sorted by slot and priority."""
        answers = await self._dispatcher.collect_async("lash_contribute_prompt", context)
        return merge_plugin_contributions(item for _, items in answers for item in items)

    async def before_turn(self, context: BeforeTurnContext) -> DirectiveFold:
        """Ask about a turn that is about to start."""
        return await self._directives(DirectivePoint.BEFORE_TURN, context)

    async def checkpoint(self, context: CheckpointContext) -> DirectiveFold:
        """Ask what to bring into a running turn."""
        return await self._directives(DirectivePoint.CHECKPOINT, context)

    async def after_turn(self, context: AfterTurnContext) -> DirectiveFold:
        """Ask about a turn that is about to be committed."""
        return await self._directives(DirectivePoint.AFTER_TURN, context)

    async def emit(self, event: LifecycleEvent) -> None:
        """Tell all plugins at once what happened, and wait for them. Failures are logged and counted, never raised."""
        await self._dispatcher.concurrent("lash_on_event", event)

    # --- what the model says --------------------------------------------------------------------

    def transform_stream(self, chunk: StreamChunk) -> StreamChunk:
        """Have plugins rewrite a chunk of streamed text."""
        return self._dispatcher.chain("lash_transform_stream", chunk)

    async def transform_response(self, context: ResponseTransform) -> ResponseTransform:
        """Have plugins rewrite a whole answer."""
        return await self._dispatcher.chain_async("lash_transform_response", context)

    async def stream_finished(self, context: StreamFinishedContext) -> None:
        """Tell plugins that a model call is over. Failures are logged and counted, never raised."""
        await self._dispatcher.notify("lash_stream_finished", context, skip_failing=True)

    # --- operations and facts -------------------------------------------------------------------

    async def invoke_operation(
        self,
        name: str,
        arguments: JsonObject,
        *,
        kind: Literal["query", "command", "task"],
        context: OperationContext,
    ) -> Owned[JsonValue]:
        """Call a plugin's operation.

        Raises:
            UnknownOperation: There is none of this name and kind.
            InvalidOperationArguments: The arguments do not fit its schema.
            UsageFault: The operation itself refused what it was asked.
            PluginHookError: It failed, or gave something that is not JSON.
        """
        return await invoke(self.operations, name, arguments, kind=kind, context=context)

    def hook_calls(self) -> tuple[HookCallFact, ...]:
        """Give what plugins did and what it took, since it was last forgotten."""
        return self._counters.facts()

    def forget_hook_calls(self, facts: Iterable[HookCallFact]) -> None:
        """Take away facts that `hook_calls` gave, once a commit with them landed."""
        self._counters.forget(facts)

    async def _directives(self, point: DirectivePoint, context: object) -> DirectiveFold:
        directives: tuple[Owned[Directive], ...] = _flatten(await self._dispatcher.collect_async(point.value, context))
        folded = fold_directives(point, directives)
        if isinstance(folded, IllegalDirective):
            raise PluginHookError(
                plugin_id=folded.plugin_id,
                hook=point.value,
                problem=f"it must not answer {folded.directive}; allowed are {', '.join(folded.allowed)}",
            )
        return folded


def _is_empty_compaction(answer: ContextCompaction) -> bool:
    return not answer.seed


def _flatten(answers: Iterable[tuple[str, Sequence[object]]]) -> tuple[Owned[Any], ...]:
    return tuple(Owned(plugin_id, item) for plugin_id, items in answers for item in items)
