"""Who this process is, and whether another one is provably dead."""

from __future__ import annotations

import os
import uuid
from functools import lru_cache
from pathlib import Path

import psutil

from lash_host.domain.lease import LeaseOwner, ProcessIdentity

__all__ = ["current_process_identity", "is_dead"]

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_START_TOLERANCE_MS = 1000
"""Two readings of one process's start may differ by a clock tick, or by a correction of the wall clock."""


def current_process_identity() -> ProcessIdentity:
    """Name this process so that others on the same machine can tell when it is gone."""
    pid = os.getpid()
    return ProcessIdentity(
        host_id=_host_id(), boot_id=_boot_id(), pid=pid, started_at_ms=_started_at_ms(psutil.Process(pid))
    )


def is_dead(owner: LeaseOwner) -> bool:
    """Whether the owner's process is provably dead: same machine, same boot, and its pid gone or reused by a later one.

    Anything that cannot be read proves nothing, and neither does time.
    """
    process = owner.process
    if process is None or process.host_id != _host_id() or process.boot_id != _boot_id():
        return False
    try:
        started_at_ms = _started_at_ms(psutil.Process(process.pid))
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError):
        return False
    return started_at_ms - process.started_at_ms > _START_TOLERANCE_MS


def _started_at_ms(process: psutil.Process) -> int:
    return int(process.create_time() * 1000)


@lru_cache(maxsize=1)
def _host_id() -> str:
    for file in _MACHINE_ID_FILES:
        if text := _read(file):
            return text
    return f"node-{uuid.getnode():012x}"


@lru_cache(maxsize=1)
def _boot_id() -> str:
    return _read(_BOOT_ID_FILE) or f"boot-{int(psutil.boot_time())}"


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
