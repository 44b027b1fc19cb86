"""`SessionPlugin`: a session plugin that needs no code for its tools and its state."""

from __future__ import annotations

import difflib
import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from lash_host.contracts.tool import ToolProvider
from lash_host.domain.plugin_state import PluginSnapshotMeta
from lash_host.domain.value import JsonValue
from lash_host.errors import InvalidPluginOptions, PluginSnapshotError
from lash_host.hookspecs.host import PluginSessionContext
from lash_host.hookspecs.snapshot import SnapshotReader, SnapshotWriter
from lash_host.markers import hookimpl
from lash_host.plugin.tool_decorator import ToolMark, inherit_mark, mark_of, tool_provider
from lash_host.plugin.tool_signature import describe_validation_error

__all__ = ["SessionPlugin"]

if TYPE_CHECKING:
    import typing_extensions

    StateT = typing_extensions.TypeVar("StateT", bound=BaseModel | None, default=None)
else:
    StateT = TypeVar("StateT", bound=BaseModel | None)

_SIGNED_63_BITS = 0x7FFF_FFFF_FFFF_FFFF


class SessionPlugin(Generic[StateT]):
    """A session plugin. Subclass it, mark methods with ``@tool`` or ``@hookimpl``, and keep what must last in `state`.

    ``class NotesPlugin(SessionPlugin[Notes])`` has a ``state`` that is a ``Notes``: a pydantic model of which every
    field has a default. It is stored with each turn that changed it and is there again when the session is resumed.
    Change it in place or put another ``Notes`` in its place; nothing needs to be counted up. A plugin without state
    is a ``SessionPlugin[None]``.

    Args:
        context: The session, as `lash_create_session_plugin` got it.

    Attributes:
        options_type: A pydantic model of the plugin's options. `options` is then one of it; unknown or unfit options
            keep the session from opening.
        context: The session the plugin was made for.
        session_id: That session's id.
        options: The plugin's options, as ``options_type`` or else as they were given.
        state: The plugin's state; None where it has no state type.

    Raises:
        InvalidPluginOptions: The options do not fit ``options_type``; names the field.
    """

    options_type: ClassVar[type[BaseModel] | None] = None
    options: Any
    state: StateT

    _state_type: ClassVar[type[BaseModel] | None] = None
    _tool_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **arguments: Any) -> None:
        """Read the state type and the tools, so that what is wrong with them shows when the plugin is imported."""
        super().__init_subclass__(**arguments)
        cls._state_type = _state_type(cls)
        cls._tool_names = tuple(_mark_tools(cls))

    def __init__(self, context: PluginSessionContext) -> None:
        self.context = context
        self.session_id = context.session_id
        self.options = _read_options(self.options_type, context)
        self.state = self._default_state()

    def migrate_state(self, state: JsonValue, *, from_version: str) -> JsonValue:  # noqa: ARG002 - for overriders
        """Turn a state that another version of this plugin stored into one that fits the state type.

        Called before the state is validated, and only if the version that wrote it is not the one that runs; that
        may be a newer one. Override it when the state type changes.

        Args:
            state: What was stored, as JSON.
            from_version: The version that stored it.
        """
        return state

    @hookimpl
    def lash_export_tools(self) -> Sequence[ToolProvider]:
        """Bring the methods marked with ``@tool``."""
        if not self._tool_names:
            return ()
        methods: list[Callable[..., Any]] = [getattr(self, name) for name in self._tool_names]
        return (tool_provider(self.context.plugin_id, *methods),)

    @hookimpl
    def lash_capture_snapshot(self, writer: SnapshotWriter) -> None:
        """Write the state, having made sure that it can be read back.

        Raises:
            PluginSnapshotError: It could not be.
        """
        if self._state_type is None:
            return
        text = self._state_json()
        try:
            self._state_type.model_validate_json(text)
        except ValidationError as exc:
            raise self._snapshot_error(
                "capture", f"it could not be read back: {describe_validation_error(exc)}"
            ) from exc
        writer.write_state(from_json(text))

    @hookimpl
    def lash_snapshot_revision(self) -> int:
        """Derive the revision from the state's content."""
        if self._state_type is None:
            return 0
        digest = hashlib.blake2b(self._state_json(), digest_size=8).digest()
        return int.from_bytes(digest, "little") & _SIGNED_63_BITS

    @hookimpl
    def lash_restore_snapshot(self, meta: PluginSnapshotMeta, reader: SnapshotReader) -> None:  # noqa: ARG002
        """Take the state back, migrated if another version wrote it.

        Raises:
            PluginSnapshotError: It does not fit the state type.
        """
        if self._state_type is None:
            return
        if meta.state is None:
            self.state = self._default_state()
            return
        stored: JsonValue = meta.state
        if meta.plugin_version != self.context.plugin_version:
            stored = self.migrate_state(stored, from_version=meta.plugin_version)
        try:
            self.state = cast(StateT, self._state_type.model_validate_json(to_json(stored)))
        except ValidationError as exc:
            problem = (
                f"what version {meta.plugin_version} stored does not fit {self._state_type.__name__} of version "
                f"{self.context.plugin_version}: {describe_validation_error(exc)}"
            )
            raise self._snapshot_error("restore", problem) from exc

    def _default_state(self) -> StateT:
        return cast(StateT, None if self._state_type is None else self._state_type())

    def _state_json(self) -> bytes:
        if not isinstance(self.state, self._state_type or BaseModel):
            expected = getattr(self._state_type, "__name__", None)
            raise TypeError(f"state is a {type(self.state).__name__}, not a {expected}")
        return self.state.model_dump_json(by_alias=True, round_trip=True).encode()

    def _snapshot_error(self, action: Literal["capture", "restore"], problem: str) -> PluginSnapshotError:
        return PluginSnapshotError(plugin_id=self.context.plugin_id, action=action, problem=problem)


def _state_type(cls: type) -> type[BaseModel] | None:
    argument = _type_argument(cls)
    if argument is None or argument is type(None) or isinstance(argument, TypeVar):
        return None
    if not (isinstance(argument, type) and issubclass(argument, BaseModel)):
        raise TypeError(f"the state type of {cls.__name__} must be a pydantic model, not {argument!r}")
    required = [name for name, field in argument.model_fields.items() if field.is_required()]
    if required:
        raise TypeError(
            f"every field of {argument.__name__}, the state of {cls.__name__}, needs a default; "
            f"{', '.join(required)} has none"
        )
    return argument


def _type_argument(cls: type) -> object:
    """Find what ``StateT`` stands for in a subclass, through generic classes in between."""
    for base in getattr(cls, "__orig_bases__", cls.__bases__):
        origin = get_origin(base)
        if origin is SessionPlugin:
            return cast(object, get_args(base)[0])
        if origin is None and isinstance(base, type) and issubclass(base, SessionPlugin):
            return base._state_type  # noqa: SLF001 - of the same class
        if isinstance(origin, type) and issubclass(origin, SessionPlugin):
            inherited = _type_argument(origin)
            parameters = getattr(origin, "__parameters__", ())
            return get_args(base)[parameters.index(inherited)] if inherited in parameters else inherited
    return None


def _mark_tools(cls: type) -> Iterable[str]:
    """Find the tools of a class in the order of their definition, bases first.

    A method that overrides a tool is that tool, with the options it was first marked with.
    """
    marks: dict[str, ToolMark] = {}
    for owner in reversed(cls.__mro__):
        for name, member in vars(owner).items():
            function = getattr(member, "__func__", member)
            mark = mark_of(function)
            if mark is None and name in marks and inspect.isfunction(function):
                mark = inherit_mark(function, marks[name])
            if mark is None:
                marks.pop(name, None)
            else:
                marks[name] = mark
    return marks


def _read_options(options_type: type[BaseModel] | None, context: PluginSessionContext) -> Any:
    if options_type is None:
        return context.plugin_options
    known = {word for name, field in options_type.model_fields.items() for word in (name, field.alias) if word}
    if options_type.model_config.get("extra") != "allow":
        for key in context.plugin_options:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1)
                hint = (
                    f"; did you mean {nearest[0]!r}?" if nearest else f"; known: {', '.join(sorted(known)) or 'none'}"
                )
                raise InvalidPluginOptions(context.plugin_id, f"unknown option {key!r}{hint}")
    try:
        return options_type.model_validate_json(to_json(context.plugin_options))
    except ValidationError as exc:
        raise InvalidPluginOptions(context.plugin_id, describe_validation_error(exc)) from exc
