"""What runs processes of a kind that a plugin brings."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["ProcessEngine"]


@runtime_checkable
class ProcessEngine(Protocol):
    """Runs processes of one kind. Plugins hand engines over in `lash_register_process_engines`."""

    @property
    def kind(self) -> str:
        """The kind it runs. Unique in a host."""
        ...
