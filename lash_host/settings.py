"""Settings: `lash.toml`, ``[tool.lash]`` in `pyproject.toml`, and the environment (``LASH_*``), in rising strength."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["CompactionSettings", "LeaseSettings", "PluginSettings", "PriceSettings", "Settings"]


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
    plugins: PluginSettings = PluginSettings()
    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    lease: LeaseSettings = LeaseSettings()
    compaction: CompactionSettings = CompactionSettings()
    effect_host: str = "inline"
