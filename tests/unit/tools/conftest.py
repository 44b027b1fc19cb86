"""A toolbox, plugins and a turn to run tools in: fakes that record what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from lash_host.domain.directive import DirectiveFold, Owned
from lash_host.domain.effect import EffectScope
from lash_host.domain.frame import AgentFrameAssignment, initial_frame
from lash_host.domain.message import ToolCallPart
from lash_host.domain.model import ModelSpec
from lash_host.domain.policy import SessionPolicy, ToolAccess
from lash_host.domain.session import RuntimeSessionState, SessionReadView
from lash_host.domain.tool import ToolContract, ToolManifest, ToolOutput
from lash_host.testing import ManualClock
from lash_host.tools.catalog import build_catalog
from lash_host.tools.dispatch import ToolBatchContext, ToolBatchResult, ToolDispatcher
from lash_host.tools.registry import ToolRegistry

Body = Callable[[dict[str, Any], Any], Awaitable[Any]]


async def echo(arguments: dict[str, Any], _context: Any) -> ToolOutput:
    return ToolOutput.success(arguments)


class FakeProvider:
    """Tools by id. A schema may be an exception to raise; what `execute` was called with is kept."""

    def __init__(self) -> None:
        self.tools: dict[str, tuple[ToolManifest, Any, Body]] = {}
        self.contracts_asked: list[str] = []
        self.executed: list[tuple[str, dict[str, Any], Any]] = []

    def add(
        self, name: str, body: Body = echo, *, tool_id: str = "", schema: Any = None, **manifest: Any
    ) -> FakeProvider:
        tool_id = tool_id or f"id:{name}"
        self.tools[tool_id] = (ToolManifest(tool_id=tool_id, name=name, **manifest), schema, body)
        return self

    def manifests(self) -> Sequence[ToolManifest]:
        return [manifest for manifest, _, _ in self.tools.values()]

    def contract(self, tool_id: str) -> ToolContract:
        self.contracts_asked.append(tool_id)
        schema = self.tools[tool_id][1]
        if isinstance(schema, Exception):
            raise schema
        return ToolContract() if schema is None else ToolContract(input_schema=schema)

    async def execute(self, tool_id: str, arguments: dict[str, Any], context: Any) -> ToolOutput:
        self.executed.append((tool_id, arguments, context))
        return await self.tools[tool_id][2](arguments, context)


@dataclass
class FakeHooks:
    """Plugins that answer with what a test says: a value, an exception, or a function of the context."""

    session_id: str = "s1"
    fingerprint: int = 1
    removes: Any = frozenset()
    before: Any = field(default_factory=DirectiveFold)
    after: Any = field(default_factory=DirectiveFold)
    projected: Any = None
    seen: list[tuple[str, Any]] = field(default_factory=list)

    def revision_fingerprint(self) -> int:
        return self.fingerprint

    def filter_tool_catalog(self, context: Any) -> frozenset[str]:
        return self._answer("filter", context, self.removes)

    async def before_tool_call(self, context: Any) -> DirectiveFold:
        answer = self._answer("before", context, self.before)
        return await answer if asyncio.iscoroutine(answer) else answer

    async def after_tool_call(self, context: Any) -> DirectiveFold:
        return self._answer("after", context, self.after)

    def project_tool_result(self, context: Any) -> Any:
        return self._answer("project", context, self.projected)

    def of(self, hook: str) -> list[Any]:
        return [context for name, context in self.seen if name == hook]

    def _answer(self, hook: str, context: Any, answer: Any) -> Any:
        self.seen.append((hook, context))
        if isinstance(answer, Exception):
            raise answer
        return answer(context) if callable(answer) else answer


@dataclass
class FakeEffects:
    """Runs effects and notes their envelopes; `recorded` outcomes are replayed by effect id."""

    name: str = "fake"
    is_durable: bool = False
    envelopes: list[Any] = field(default_factory=list)
    recorded: Mapping[str, Any] = field(default_factory=dict)

    async def execute(self, envelope: Any, run: Callable[[], Awaitable[Any]], *, result_type: type[Any]) -> Any:
        self.envelopes.append(envelope)
        outcome = self.recorded.get(envelope.effect_id)
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            return result_type.model_validate(outcome.model_dump())
        return await run()


class Stage:
    """One session with its tools, and turns that call them.

    Who must be cancelled gets no grace; who must not be sets `grace_s`, so that no test waits for real time.
    """

    def __init__(self) -> None:
        self.provider = FakeProvider()
        self.hooks = FakeHooks()
        self.effects = FakeEffects()
        self.clock = ManualClock(auto_advance=True)
        self.cancelled = asyncio.Event()
        self.activities: list[Any] = []
        self.access = ToolAccess()
        self.grace_s = 0.0
        self.unwind_s = 10.0
        self.registry: ToolRegistry | None = None

    def add(self, name: str, body: Body = echo, **options: Any) -> Stage:
        self.provider.add(name, body, **options)
        return self

    def context(self) -> ToolBatchContext:
        spec = ModelSpec(provider_id="p", model_id="m")
        frame = initial_frame("s1", assignment=AgentFrameAssignment(policy=SessionPolicy(model=spec)), created_at_us=0)
        state = RuntimeSessionState(
            session_id="s1",
            policy=SessionPolicy(model=spec),
            agent_frames=(frame,),
            current_agent_frame_id=frame.frame_id,
        )
        return ToolBatchContext(
            session_id="s1",
            frame_id=frame.frame_id,
            turn_id="t1",
            iteration=2,
            state=SessionReadView(state),
            cancelled=self.cancelled,
            completions=object(),
            effects=self.effects,
            scope=EffectScope(session_id="s1", scope_id="t1"),
            clock=self.clock,
            emit=self.activities.append,
        )

    async def batch(self, *calls: ToolCallPart) -> ToolBatchResult:
        if self.registry is None:
            self.registry = ToolRegistry([Owned("box", self.provider)])
        catalog = build_catalog(self.registry, self.hooks, tool_access=self.access)
        dispatcher = ToolDispatcher(self.hooks, self.registry, grace_s=self.grace_s, unwind_s=self.unwind_s)
        return await dispatcher.run_batch(calls, catalog=catalog, context=self.context())

    def run(self, *calls: ToolCallPart) -> ToolBatchResult:
        return asyncio.run(self.batch(*calls))

    def call(self, name: str, **arguments: Any) -> Any:
        """Run one call and give its output's outcome."""
        return self.run(part(name, **arguments)).results[0].output.outcome

    @property
    def kinds(self) -> list[str]:
        return [f"{activity.kind}:{activity.correlation_id}" for activity in self.activities]


def part(name: str, *, call_id: str = "c1", error: str | None = None, **arguments: Any) -> ToolCallPart:
    return ToolCallPart(call_id=call_id, tool_name=name, arguments=arguments, arguments_error=error)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def make_part() -> Callable[..., ToolCallPart]:
    return part


@pytest.fixture
def make_provider() -> type[FakeProvider]:
    return FakeProvider


@pytest.fixture
def hooks() -> FakeHooks:
    return FakeHooks()
