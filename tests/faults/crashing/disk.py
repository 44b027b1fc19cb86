"""Disks that are full and places that cannot be written, for programs that have a mount namespace of their own."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

_CAPABILITY_VERSION = 0x20080522
_CAP_DAC_OVERRIDE = 1 << 1

__all__ = ["Disk", "make_read_only", "namespace", "small_disk"]


def namespace() -> list[str]:
    """Give the command that runs another in a mount namespace of its own; empty where the system allows none."""
    for command in (["unshare", "--mount"], ["unshare", "--mount", "--map-root-user"]):
        try:
            mounts = ["sh", "-c", "mount -t tmpfs none /mnt"]
            subprocess.run([*command, *mounts], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return []


class Disk(Protocol):
    """A place that can be filled up."""

    def fill(self, leave: int) -> None:
        """Leave so many bytes."""

    def free(self) -> None:
        """Give the space back."""


class _TmpFs:
    """A file system of its own, with a file that takes up what is to be missing."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, leave: int) -> None:
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(file, bytes(1 << 16))
                os.lseek(file, 0, os.SEEK_END)
        except OSError:
            size = os.fstat(file).st_size
            os.ftruncate(file, max(size - leave, 0))
        finally:
            os.close(file)

    def free(self) -> None:
        self._ballast.unlink()


class _Limit:
    """Where nothing can be mounted: no file of this process may grow beyond what the greatest has and what is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill(self, leave: int) -> None:
        sizes = [file.stat().st_size for file in self._folder.iterdir() if file.name.endswith(".wal")]
        self._set(max(sizes, default=0) + leave)

    def free(self) -> None:
        self._set(resource.RLIM_INFINITY)

    def _set(self, limit: int) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard if limit == resource.RLIM_INFINITY else limit, hard))


def small_disk(folder: Path, *, size_bytes: int) -> Disk:
    """Make a folder a small disk."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "lash-test", str(folder)]
    if "--mounts" in sys.argv:
        subprocess.run(command, check=True)
        return _TmpFs(folder)
    return _Limit(folder)


def make_read_only(path: Path) -> None:
    """Make a file or a folder read-only, for root too where that is possible."""
    if "--mounts" in sys.argv:
        subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(path)], check=True)
    else:
        path.chmod(0o555 if path.is_dir() else 0o444)
        _obey_permissions()


def _obey_permissions() -> None:
    """Give up root's right to write where permissions forbid it."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) == 0:
        sets[0] &= ~_CAP_DAC_OVERRIDE
        if libc.capset(header, sets) != 0:
            raise OSError(ctypes.get_errno(), "capset")
