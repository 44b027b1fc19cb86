"""Death is proven or not; it is never guessed."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from lash_host.domain.lease import LeaseOwner, ProcessIdentity
from lash_host.store.liveness import current_process_identity, is_dead


def _owner(**changes: object) -> LeaseOwner:
    process = current_process_identity().model_copy(update=changes)
    return LeaseOwner(owner_id="a", incarnation_id="b", process=process)


def test_this_process_names_itself() -> None:
    identity = current_process_identity()
    assert identity.pid == os.getpid()
    assert identity.host_id
    assert identity.boot_id
    assert identity == current_process_identity()


def test_this_process_lives() -> None:
    assert not is_dead(_owner())


def test_a_process_that_ended_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert is_dead(_owner(pid=process.pid))


def test_a_pid_that_was_given_to_a_later_process_is_dead() -> None:
    started_at_ms = current_process_identity().started_at_ms - 60_000
    assert is_dead(_owner(started_at_ms=started_at_ms))


def test_a_start_that_was_read_a_tick_apart_proves_nothing() -> None:
    started_at_ms = current_process_identity().started_at_ms
    assert not is_dead(_owner(started_at_ms=started_at_ms - 10))
    assert not is_dead(_owner(started_at_ms=started_at_ms + 60_000))


@pytest.mark.parametrize("changes", [{"host_id": "elsewhere"}, {"boot_id": "earlier"}])
def test_nothing_is_known_of_another_machine_or_boot(changes: dict[str, object]) -> None:
    assert not is_dead(_owner(pid=2**22 + 1, **changes))


def test_an_owner_that_names_no_process_may_live() -> None:
    assert not is_dead(LeaseOwner(owner_id="a", incarnation_id="b"))


def test_what_cannot_be_read_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = _owner()

    def refuse(pid: int) -> psutil.Process:
        raise psutil.AccessDenied(pid)

    monkeypatch.setattr(psutil, "Process", refuse)
    assert not is_dead(owner)


def test_an_identity_is_stored_as_it_is() -> None:
    identity = current_process_identity()
    assert ProcessIdentity.model_validate_json(identity.model_dump_json()) == identity
