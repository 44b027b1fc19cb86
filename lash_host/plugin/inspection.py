"""Finds the hooks that an object implements, and what is wrong with them, without calling anything of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, MethodType, ModuleType
from typing import Any, Final, Literal, cast
from weakref import WeakKeyDictionary

from pluggy import HookimplOpts

from lash_host.hookspecs.table import HOOKS, Hook, HookScope
from lash_host.markers import PRIORITY_ATTRIBUTE, PROJECT_NAME
from lash_host.plugin.findings import FindingCode, did_you_mean

__all__ = ["HOOK_ARGUMENTS", "HookInspector", "HookMark", "HookProblem", "Inspection"]

_IMPL_MARK: Final = f"{PROJECT_NAME}_impl"
_SPEC_MARK: Final = f"{PROJECT_NAME}_spec"
_ONCE_A_PLUGIN: Final = frozenset({
    "lash_create_session_plugin", "lash_capture_snapshot", "lash_snapshot_revision", "lash_restore_snapshot",
})  # fmt: skip
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

HOOK_ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {name: tuple(inspect.signature(hook.spec).parameters) for name, hook in HOOKS.items()}
)
"""The names of each hook's arguments, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMark:
    """A marked function that is fit to be called.

    Attributes:
        attribute: Its name on the plugin.
        hook: The hook it implements.
        options: What it was marked with, as pluggy wants it.
        priority: Higher comes first.
    """

    attribute: str
    hook: Hook
    options: HookimplOpts
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookProblem:
    """Something wrong with a function that is, or looks like, a hook implementation."""

    code: FindingCode
    severity: Literal["error", "warning"]
    message: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What an object implements, in the order of definition, and what is wrong with it."""

    marks: tuple[HookMark, ...]
    problems: tuple[HookProblem, ...]

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks it implements, each once."""
        return tuple(dict.fromkeys(mark.hook.name for mark in self.marks))

    @property
    def errors(self) -> tuple[HookProblem, ...]:
        """The problems that leave the plugin out."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    function: Callable[..., Any]
    is_bound: bool
    options: HookimplOpts
    priority: int

    @property
    def hook_name(self) -> str:
        return self.options.get("specname") or self.name

    @property
    def place(self) -> str:
        return _place(self.function)


class HookInspector:
    """Inspects plugins. A class is looked at once, however many session plugins are made of it."""

    def __init__(self) -> None:
        self._of_classes: WeakKeyDictionary[type, dict[HookScope, Inspection]] = WeakKeyDictionary()

    def inspect(self, plugin: object, *, scope: HookScope) -> Inspection:
        """Find a plugin's hooks.

        Only functions and methods count; properties and other descriptors are not evaluated.

        Args:
            plugin: A module or an object.
            scope: Where it stands: as a host plugin or as a session plugin.
        """
        if isinstance(plugin, ModuleType):
            return _inspect(vars(plugin).items(), scope=scope, on_class=False)
        own = {name: member for name, member in _instance_dict(plugin).items() if _is_function(member)}
        if own:
            return _inspect({**_class_members(type(plugin)), **own}.items(), scope=scope, on_class=True, own=own)
        known = self._of_classes.setdefault(type(plugin), {})
        if scope not in known:
            known[scope] = _inspect(_class_members(type(plugin)).items(), scope=scope, on_class=True)
        return known[scope]


def _inspect(
    members: Iterable[tuple[str, object]], *, scope: HookScope, on_class: bool, own: Iterable[str] = ()
) -> Inspection:
    marks: list[HookMark] = []
    problems: list[HookProblem] = []
    for name, value in members:
        options = _own_attribute(value, _IMPL_MARK)
        if not isinstance(options, dict):
            problems.extend(_unmarked(name, value, scope=scope))
            continue
        if not _is_function(value):
            message = f"{name} is marked with @hookimpl but is a {type(value).__name__}, not a function"
            problems.append(HookProblem(code="invalid_hook", severity="error", message=message, place=""))
            continue
        function = cast(Callable[..., Any], getattr(value, "__func__", value))
        is_bound = isinstance(value, classmethod | MethodType) or (
            on_class and name not in own and not isinstance(value, staticmethod)
        )
        priority = _own_attribute(value, PRIORITY_ATTRIBUTE)
        member = _Member(
            name=name,
            function=function,
            is_bound=is_bound,
            options=cast(HookimplOpts, options),
            priority=priority if isinstance(priority, int) else 0,
        )
        found = [*_check(member, scope=scope)]
        problems.extend(found)
        if not found:
            marks.append(
                HookMark(attribute=name, hook=HOOKS[member.hook_name], options=member.options, priority=member.priority)
            )
    problems.extend(_repeated(marks))
    return Inspection(marks=tuple(marks), problems=tuple(problems))


def _check(member: _Member, *, scope: HookScope) -> Iterator[HookProblem]:
    def problem(message: str, code: FindingCode = "invalid_hook") -> HookProblem:
        return HookProblem(code=code, severity="error", message=message, place=member.place)

    name = member.hook_name
    hook = HOOKS.get(name)
    if hook is None:
        yield problem(f"there is no hook {name}{did_you_mean(name, HOOKS)}", "unknown_hook")
        return
    if hook.scope != scope:
        yield problem(
            f"{name} is a hook of session plugins: implement it on what lash_create_session_plugin returns"
            if hook.scope == "session"
            else f"{name} is a hook of host plugins: implement it on what the entry point loads"
        )
    if member.options.get("wrapper") or member.options.get("hookwrapper"):
        yield problem(f"{name} is a hook wrapper; hooks of lash-host cannot be wrapped")
    elif inspect.isasyncgenfunction(member.function) or inspect.isgeneratorfunction(member.function):
        yield problem(f"{name} is a generator; return the whole answer")
    elif inspect.iscoroutinefunction(member.function) and not hook.is_async:
        yield problem(f"{name} is declared def, so that it cannot wait: its implementation must not be async")
    yield from (problem(message) for message in _argument_problems(member, hook))


def _argument_problems(member: _Member, hook: Hook) -> Iterator[str]:
    declared = [*inspect.signature(member.function).parameters.values()]
    given = HOOK_ARGUMENTS[hook.name]
    for parameter in declared[1:] if member.is_bound else declared:
        if parameter.kind in _VARIADIC:
            yield f"{hook.name} takes {parameter}, but its arguments must be named: {', '.join(given) or 'none'}"
        elif parameter.kind is parameter.KEYWORD_ONLY:
            if parameter.name in given or parameter.default is parameter.empty:
                yield f"{hook.name} takes {parameter.name!r} by keyword only; hooks are called positionally"
        elif parameter.name not in given and parameter.default is parameter.empty:
            hint = did_you_mean(parameter.name, given) or f"; it gives {', '.join(given) or 'nothing'}"
            yield f"{hook.name} does not give an argument {parameter.name!r}{hint}"


def _repeated(marks: Iterable[HookMark]) -> Iterator[HookProblem]:
    first: dict[str, str] = {}
    for mark in marks:
        name = mark.hook.name
        if name in first and (name in _ONCE_A_PLUGIN or mark.hook.mode == "singleton"):
            message = f"{name} is implemented twice, by {first[name]} and {mark.attribute}"
            yield HookProblem(code="invalid_hook", severity="error", message=message, place="")
        first.setdefault(name, mark.attribute)


def _unmarked(name: str, value: object, *, scope: HookScope) -> Iterator[HookProblem]:
    hook = HOOKS.get(name)
    if hook is None or hook.scope != scope or not _is_function(value) or _own_attribute(value, _SPEC_MARK) is not None:
        return
    yield HookProblem(
        code="unmarked_hook",
        severity="warning",
        message=f"{name} is not marked with @hookimpl, so it is never called",
        place=_place(getattr(value, "__func__", value)),
    )


def _class_members(cls: type) -> dict[str, object]:
    """Give what instances of a class have of it, bases first, each name as the class resolves it."""
    members: dict[str, object] = {}
    for owner in reversed(cls.__mro__):
        members.update(vars(owner))
    return members


def _is_function(value: object) -> bool:
    if isinstance(value, staticmethod | classmethod | MethodType):
        return inspect.isfunction(value.__func__)
    return inspect.isfunction(value)


def _instance_dict(value: object) -> dict[str, object]:
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _own_attribute(value: object, name: str) -> object:
    """Read a marker without running code of the value, as proxies and mocks would."""
    own = _instance_dict(value)
    if name in own:
        return own[name]
    function = value.__func__ if isinstance(value, staticmethod | classmethod | MethodType) else None
    return None if function is None else _instance_dict(function).get(name)


def _place(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"
