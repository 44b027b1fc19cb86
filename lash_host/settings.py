"""Settings: `lash.toml`, ``[tool.lash]`` in `pyproject.toml`, and the environment (``LASH_*``), in rising strength."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from lash_host.errors import SettingsError

__all__ = ["CompactionSettings", "LeaseSettings", "PluginSettings", "PriceSettings", "Settings", "load_settings"]

_ENV_PREFIX = "LASH_"
_CONFIG_VARIABLE = "LASH_CONFIG"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PluginSettings(_Section):
    """Which plugins take part, in which order, with which options.

    Attributes:
        enabled: Only these plugin ids; None means all that are installed.
        disabled: Not these.
        order: These first, in this order; the others follow by id.
        options: Options by plugin id.
    """

    enabled: tuple[str, ...] | None = None
    disabled: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    options: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)


class LeaseSettings(_Section):
    """How long a session's execution lease lives, in milliseconds; it is renewed three times in that time."""

    ttl_ms: int = Field(default=30_000, ge=3)


class CompactionSettings(_Section):
    """When sessions are compacted by themselves.

    Attributes:
        auto_share: Share of the context window, 0 to 1, past which a turn's prompt makes the session compact first.
            0 turns it off.
    """

    auto_share: float = Field(default=0.8, ge=0, le=1)


class PriceSettings(_Section):
    """A model's price in US dollars per million tokens, with where and when it was read."""

    input_per_mtok: float = Field(ge=0)
    output_per_mtok: float = Field(ge=0)
    cache_read_per_mtok: float | None = Field(default=None, ge=0)
    cache_write_per_mtok: float | None = Field(default=None, ge=0)
    source: str = "settings"
    as_of: str = ""


class Settings(_Section):
    """Everything that can be set.

    Attributes:
        store: Path or SQLAlchemy URL; None means `lash.duckdb` in the user's data folder.
        model: ``provider/model`` of sessions that name none.
        protocol: Plugin id of the protocol, where several are installed.
        max_turns: The most model calls a turn of a new session may make; the policy of a session can say otherwise.
        plugins: Which plugins take part.
        providers: Tables of the model providers, by provider id.
        prices: Prices by ``provider/model``.
        lease: The session execution lease.
        compaction: Automatic compaction.
        effect_host: Name of the effect host.
    """

    store: str | None = None
    model: str = "offline/agent"
    protocol: str | None = None
    max_turns: int | None = Field(default=100, ge=1)
    plugins: PluginSettings = PluginSettings()
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    lease: LeaseSettings = LeaseSettings()
    compaction: CompactionSettings = CompactionSettings()
    effect_host: str = "inline"


def load_settings(
    *,
    config: Path | None = None,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings.

    In rising strength, table by table and key by key: the nearest `lash.toml`; the nearest `pyproject.toml` that has
    a table ``[tool.lash]``; the environment; ``overrides``. *Nearest* is from ``cwd`` upwards to the root of the file
    system. A file named by ``config``, or else by the variable ``LASH_CONFIG``, stands in place of both files; nothing
    is looked for then.

    A variable is written ``LASH_MODEL``, or with a double underscore between table and key:
    ``LASH_COMPACTION__AUTO_SHARE``. Lists and tables are written as JSON. Its keys are lower case, what it says in a
    free table stays text, and an empty one counts as not set. A ``store`` in a file that is a relative path is
    relative to that file's folder; elsewhere it is relative to the current folder.

    Args:
        config: The one file to read: TOML, or a `pyproject.toml`.
        cwd: Where to look from; None means the current folder.
        environ: The environment; None means the process's own.
        overrides: Values by key, tables as mappings. A None among them means: not given.

    Raises:
        SettingsError: A named file is missing, a file is not TOML, a key is unknown, or a value is of the wrong shape.
            It names file or variable, and key. It never shows a value, which may be a secret.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if cwd is None else cwd.absolute()
    named = config if config is not None else environ.get(_CONFIG_VARIABLE)
    layers = [_named_layer(folder / Path(named).expanduser())] if named else [*_nearby_layers(folder)]
    layers += _environment_layers(environ)
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    layers.append(_Layer(source="arguments", values=given))
    for layer in layers:
        _check(layer.values, [layer])
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _laid_over(merged, layer.values)
    return _check(merged, layers, is_complete=True)


@dataclass(frozen=True, slots=True)
class _Layer:
    """The settings of one file, one variable, or the arguments."""

    source: str
    values: Mapping[str, Any]
    variable: str | None = None


def _named_layer(path: Path) -> _Layer:
    if not path.is_file():
        raise SettingsError("there is no such file", source=str(path))
    if path.name != "pyproject.toml":
        return _file_layer(path, str(path), _read_toml(path))
    table = _tool_table(path)
    if table is None:
        raise SettingsError("there is no table [tool.lash] in it", source=str(path))
    return table


def _nearby_layers(folder: Path) -> Iterator[_Layer]:
    """Give the nearest `lash.toml`, then the nearest `pyproject.toml` with a table of ours."""
    folders = (folder, *folder.parents)
    own = next((path for place in folders if (path := place / "lash.toml").is_file()), None)
    if own is not None:
        yield _file_layer(own, str(own), _read_toml(own))
    projects = (path for place in folders if (path := place / "pyproject.toml").is_file())
    shared = next((table for path in projects if (table := _tool_table(path)) is not None), None)
    if shared is not None:
        yield shared


def _tool_table(path: Path) -> _Layer | None:
    tool = _read_toml(path).get("tool")
    table = tool.get("lash") if isinstance(tool, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise SettingsError("expected a table", source=str(path), key="tool.lash")
    return _file_layer(path, f"{path} [tool.lash]", table)


def _file_layer(path: Path, source: str, values: dict[str, Any]) -> _Layer:
    store = values.get("store")
    if isinstance(store, str) and store != ":memory:" and "://" not in store:
        values = {**values, "store": str(path.parent / Path(store).expanduser())}
    return _Layer(source=source, values=values)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        problem = "not a TOML file: it is not UTF-8"
    except tomllib.TOMLDecodeError as exc:
        problem = f"not a TOML file: {exc}"
    except OSError as exc:
        problem = f"cannot be read: {exc.strerror}"
    raise SettingsError(problem, source=str(path))


def _environment_layers(environ: Mapping[str, str]) -> Iterator[_Layer]:
    """Give one layer a variable, a table's own before those of its keys."""
    names = sorted(name for name in environ if name.startswith(_ENV_PREFIX) and environ[name])
    names = [name for name in names if name != _CONFIG_VARIABLE]
    if not names:
        return
    from pydantic_settings import BaseSettings, EnvSettingsSource
    from pydantic_settings.exceptions import SettingsError as UnreadableVariable

    fields_of = cast("type[BaseSettings]", Settings)
    reader = EnvSettingsSource(fields_of, env_prefix=_ENV_PREFIX, env_nested_delimiter="__")
    for name in names:
        source = f"environment variable {name}"
        path = tuple(name.removeprefix(_ENV_PREFIX).lower().split("__"))
        reader.env_vars = {name.lower(): environ[name]}
        try:
            values = reader()
        except UnreadableVariable:
            raise SettingsError(
                f"{'.'.join(path)}: expected a value written as JSON", source=source, key=".".join(path)
            ) from None
        if not values:
            raise SettingsError(_unknown_key(path, variable=name), source=source, key=".".join(path))
        yield _Layer(source=source, values=values, variable=name)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _laid_over(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _check(values: Mapping[str, Any], layers: Sequence[_Layer], *, is_complete: bool = False) -> Settings:
    """Validate; a required key may be missing in one layer, as long as it is in another."""
    try:
        return Settings.model_validate(values)
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False)
    fault = next((each for each in faults if is_complete or each["type"] != "missing"), None)
    if fault is None:
        return Settings()
    path = tuple(str(part) for part in fault["loc"])
    layer = next((each for each in reversed(layers) if _holds(each.values, path[:-1])), layers[-1])
    key = ".".join(path)
    match fault["type"]:
        case "extra_forbidden":
            problem = _unknown_key(path, variable=layer.variable)
        case "missing":
            problem = f"{key}: is missing"
        case _:
            problem = f"{key}: {_expectation(fault['msg'], in_variable=layer.variable is not None)}"
    raise SettingsError(problem, source=layer.source, key=key)


_EXPECTATIONS = {
    "Input should be": "expected",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a valid integer, unable to parse string as an integer": "a whole number",
    "a valid integer": "a whole number",
    "a valid number, unable to parse string as a number": "a number",
    "a valid tuple": "a list",
    "a valid dictionary": "a table",
    "a valid string": "a string",
    "a table or instance of": "a table,",
}


def _expectation(message: str, *, in_variable: bool) -> str:
    """Say what pydantic expected, in the words of a settings file."""
    for theirs, ours in _EXPECTATIONS.items():
        message = message.replace(theirs, ours)
    expected = message.partition(", ")[0]
    as_json = in_variable and expected in {"expected a list", "expected a table"}
    return f"{expected}, written as JSON" if as_json else expected


def _holds(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    place: Any = values
    for part in path:
        if not isinstance(place, Mapping) or part not in place:
            return False
        place = place[part]
    return True


def _unknown_key(path: tuple[str, ...], *, variable: str | None) -> str:
    """Name the unknown key and the nearest known one: of the same table, else of any."""
    known = [
        tuple(path[i] if part == "*" and i < len(path) else part for i, part in enumerate(k)) for k in _keys(Settings)
    ]
    beside = {key[-1]: key for key in known if key[:-1] == path[:-1]}
    anywhere = {key[-1]: key for key in reversed(known)}
    near = get_close_matches(path[-1], beside, n=1) or get_close_matches(path[-1], anywhere, n=1)
    if near:
        key = beside.get(near[0], anywhere[near[0]])
        hint = f"did you mean {_as_variable(key) if variable == _as_variable(path) else repr('.'.join(key))}?"
    else:
        hint = f"known there: {', '.join(beside) or 'none'}"
    return f"unknown key {'.'.join(path)!r}; {hint}"


def _as_variable(path: Sequence[str]) -> str:
    return _ENV_PREFIX + "__".join(path).upper()


def _keys(section: type[BaseModel], *above: str) -> Iterator[tuple[str, ...]]:
    """List the known keys, with ``*`` for a key that is free."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        inner: tuple[str, ...] = (*above, name)
        yield inner
        if get_origin(kind) is dict:
            kind, inner = get_args(kind)[1], (*above, name, "*")
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, *inner)
