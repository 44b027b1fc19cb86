"""The pluggy side: hook specifications, and which implementations of them are registered, in the order of calling."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, Final, cast

import pluggy

from lash_host.hookspecs.table import HOOKS, HookScope
from lash_host.markers import PROJECT_NAME
from lash_host.plugin.answers import ANSWERS, AnswerCheck
from lash_host.plugin.counters import HookCounter, HookCounters
from lash_host.plugin.inspection import HOOK_ARGUMENTS, HookMark, Inspection

__all__ = ["HookRegistry", "Implementation"]

_PLACE_KEY: Final = "lash_host_place"


@dataclass(frozen=True, slots=True)
class Implementation:
    """One implementation of a hook.

    Attributes:
        plugin_id: The plugin it is of.
        hook: The hook's name.
        call: Calls it with the hook's arguments, positionally and all of them.
        check: Gives its answer in the usual shape, or raises `WrongAnswer`.
        counter: Counts and times its calls.
    """

    plugin_id: str
    hook: str
    call: Callable[..., Any]
    check: AnswerCheck
    counter: HookCounter


def _specification(scope: HookScope) -> ModuleType:
    module = ModuleType(f"{PROJECT_NAME}.hookspecs.{scope}")
    vars(module).update({name: hook.spec for name, hook in HOOKS.items() if hook.scope == scope})
    return module


_SPECIFICATIONS: Final[Mapping[HookScope, ModuleType]] = MappingProxyType(
    {"host": _specification("host"), "session": _specification("session")}
)


class _Registered:
    """A plugin as pluggy sees it: the functions that were found on it, bound, and nothing else.

    So pluggy neither searches a plugin again for every session, which takes most of the time of registering, nor
    evaluates its properties, nor asks whether it equals another.
    """

    def __init__(self, plugin: object, inspection: Inspection) -> None:
        self.__dict__.update({mark.attribute: getattr(plugin, mark.attribute) for mark in inspection.marks})

    def __dir__(self) -> Iterable[str]:
        return self.__dict__


class HookRegistry(pluggy.PluginManager):
    """The plugins of one scope: of a host, or of a session. It takes what a `HookInspector` found as given.

    Args:
        scope: Which hooks there are.
    """

    def __init__(self, scope: HookScope) -> None:
        super().__init__(PROJECT_NAME)
        self._scope = scope
        self._plugins: list[object] = []
        self._marks: Mapping[str, tuple[int, HookMark]] = {}
        self.add_hookspecs(_SPECIFICATIONS[scope])

    def add(self, plugin: object, *, plugin_id: str, inspection: Inspection) -> None:
        """Register a plugin with the implementations that were found on it.

        Raises:
            ValueError: The id is registered already, or the same object under another one.
        """
        if any(known is plugin for known in self._plugins):
            raise ValueError("it is the same object as another plugin")
        self._marks = {mark.attribute: (index, mark) for index, mark in enumerate(inspection.marks)}
        try:
            self.register(_Registered(plugin, inspection), name=plugin_id)
        finally:
            self._marks = {}
        self._plugins.append(plugin)

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> pluggy.HookspecOpts | None:  # noqa: ARG002
        """Give the options a hook was declared with."""
        hook = HOOKS.get(name)
        return None if hook is None else cast(pluggy.HookspecOpts, getattr(hook.spec, f"{PROJECT_NAME}_spec"))

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:  # noqa: ARG002
        """Give the options an implementation was marked with."""
        if name not in self._marks:
            return None
        index, mark = self._marks[name]
        return cast(pluggy.HookimplOpts, {**mark.options, _PLACE_KEY: (-mark.priority, index)})

    def implementations(
        self, *, plugin_order: Sequence[str], counters: HookCounters
    ) -> dict[str, tuple[Implementation, ...]]:
        """Give the implementations of each hook that has any, in the order they are called in.

        That is: `tryfirst` ones, then the others, then `trylast` ones; among them by falling priority, then in plugin
        order, then as the plugin defines them.

        Args:
            plugin_order: The ids of the registered plugins.
            counters: Where their calls are counted.
        """
        position = {plugin_id: index for index, plugin_id in enumerate(plugin_order)}

        def order(found: pluggy.HookImpl) -> tuple[int, int, int, int]:
            priority, index = cast(Mapping[str, tuple[int, int]], found.opts)[_PLACE_KEY]
            group = 2 if found.trylast else 0 if found.tryfirst else 1
            return group, priority, position[found.plugin_name], index

        ordered: dict[str, tuple[Implementation, ...]] = {}
        for name, hook in HOOKS.items():
            if hook.scope != self._scope:
                continue
            caller: pluggy.HookCaller = getattr(self.hook, name)
            found = caller.get_hookimpls()
            if found:
                ordered[name] = tuple(
                    Implementation(
                        impl.plugin_name,
                        name,
                        _caller(impl, name),
                        ANSWERS[name],
                        counters.of(impl.plugin_name, name),
                    )
                    for impl in sorted(found, key=order)
                )
        return ordered


def _caller(implementation: pluggy.HookImpl, hook: str) -> Callable[..., Any]:
    """Adapt an implementation that takes fewer arguments than the hook gives, or takes them in another order."""
    function = cast(Callable[..., Any], implementation.function)
    given = HOOK_ARGUMENTS[hook]
    wanted = tuple(implementation.argnames)
    by_keyword = tuple(name for name in implementation.kwargnames if name in given)
    if wanted == given and not by_keyword:
        return function
    if not by_keyword:
        places = [given.index(name) for name in wanted]
        return lambda *arguments: function(*[arguments[place] for place in places])

    def call(*arguments: Any) -> Any:
        values = dict(zip(given, arguments, strict=True))
        return function(*[values[name] for name in wanted], **{name: values[name] for name in by_keyword})

    return call
