"""Which entry points claim to be plugins, read so that no broken package can keep the others from being found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import importlib_metadata

from lash_host.plugin.findings import PluginFinding, describe_exception

__all__ = ["GROUP", "Claim", "read_claims"]

GROUP = "lash_host.plugins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An entry point that claims to be a plugin.

    Attributes:
        plugin_id: The entry point's name.
        value: What it points at, as ``module`` or ``module:attribute``.
        distribution: The name of its distribution.
        version: The version of its distribution.
        entry_point: Loads it.
    """

    plugin_id: str
    value: str
    distribution: str
    version: str
    entry_point: importlib_metadata.EntryPoint


def read_claims() -> tuple[list[Claim], list[PluginFinding]]:
    """Read the entry points of all installed distributions.

    A distribution that is found twice (an editable install beside a wheel, or stale metadata) counts once: the one
    that comes first on ``sys.path``, as it does for imports.
    """
    findings: list[PluginFinding] = []
    try:
        found: Iterable[importlib_metadata.EntryPoint] = importlib_metadata.entry_points(group=GROUP)
    except Exception:  # noqa: BLE001 - one unreadable file in any package; find out whose, and read the others
        found = _read_one_by_one(findings)
    claims: dict[tuple[str, str, str, str], Claim] = {}
    for entry_point in found:
        name, version = _identify(entry_point.dist)
        key = (entry_point.name, entry_point.value, name, version)
        claims[key] = Claim(
            plugin_id=entry_point.name,
            value=entry_point.value,
            distribution=name,
            version=version,
            entry_point=entry_point,
        )
    return sorted(claims.values(), key=lambda claim: (claim.distribution, claim.value)), findings


def _read_one_by_one(findings: list[PluginFinding]) -> Iterator[importlib_metadata.EntryPoint]:
    seen: set[str] = set()
    for distribution in importlib_metadata.distributions():
        name, _ = _identify(distribution)
        if name in seen:
            continue
        seen.add(name)
        try:
            yield from distribution.entry_points.select(group=GROUP)
        except Exception as exc:  # noqa: BLE001 - whatever is wrong with it, it is this distribution's own
            if GROUP in (distribution.read_text("entry_points.txt") or ""):
                findings.append(
                    PluginFinding(
                        code="import_error",
                        severity="error",
                        plugin_id=name,
                        distribution=name,
                        place="entry_points.txt",
                        message=f"its entry points cannot be read: {describe_exception(exc)}",
                    )
                )


def _identify(distribution: Any) -> tuple[str, str]:
    """Give name and version, also of a distribution whose metadata is damaged."""
    try:
        name, version = distribution.name, distribution.version
    except Exception:  # noqa: BLE001 - metadata readers of other packages raise what they like
        name = version = None
    return str(name or "unknown distribution"), str(version or "0")
