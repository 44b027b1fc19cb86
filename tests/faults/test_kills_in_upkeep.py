"""Upkeep that is killed is done or not done: nothing that was acknowledged is lost, and it can be done again."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from crashing.rounds import Kill
from crashing.upkeep_rounds import UpkeepRounds

BEFORE, AFTER, IN_RECLAIM = "before_upkeep", "after_upkeep", "in_reclaim"
KILLS: Sequence[tuple[str | None, Kill]] = (
    ("delete", Kill(point=BEFORE)),
    ("delete", Kill(point=AFTER)),
    ("tombstone", Kill(point=BEFORE)),
    ("vacuum", Kill(point=BEFORE)),
    ("vacuum", Kill(point=AFTER, delay_s=0.004)),
    ("gc", Kill(point=BEFORE)),
    ("retention", Kill(point=BEFORE)),
    ("retention", Kill(point=AFTER)),
    ("retention", Kill(point=AFTER, nth=2)),
    ("reclaim", Kill(point=IN_RECLAIM)),
    ("reclaim", Kill(point=IN_RECLAIM, nth=2)),
    (None, Kill(after_s=0.2, fold_entries=8)),
    (None, Kill(after_s=0.5, fold_entries=64)),
)
SERVER_KILLS: Sequence[tuple[str | None, Kill]] = (
    ("delete", Kill(point=BEFORE)),
    ("vacuum", Kill(point=BEFORE)),
    ("gc", Kill(point=BEFORE)),
    ("retention", Kill(point=BEFORE)),
    ("reclaim", Kill(point=IN_RECLAIM, nth=2)),
    (None, Kill(after_s=0.4)),
)


def test_killed_upkeep_is_done_or_not_done(tmp_path: Path) -> None:
    run_all(UpkeepRounds(tmp_path, seed="upkeep"), KILLS)


def test_killed_upkeep_of_a_server_is_done_or_not_done(tmp_path: Path, postgres_url: str) -> None:
    run_all(UpkeepRounds(tmp_path, seed="server", url=postgres_url), SERVER_KILLS)


def run_all(rounds: UpkeepRounds, kills: Sequence[tuple[str | None, Kill]]) -> None:
    try:
        seen = [(rounds.run(kill, upkeep=upkeep), upkeep, kill) for upkeep, kill in kills]
    finally:
        rounds.close()
    assert not (problems := [(upkeep, kill.point, one.problems) for one, upkeep, kill in seen if one.problems]), (
        problems
    )
    for one, upkeep, kill in seen:
        assert (one.exit_status, one.killed_at) == (-signal.SIGKILL, kill.point)
        assert upkeep is None or kill.delay_s or one.in_doubt == upkeep
        assert not one.landed or kill.point != BEFORE, (upkeep, kill)
        assert one.landed or kill.point != AFTER or upkeep not in {"delete", "retention"}, (upkeep, kill)
    assert sum(one.acknowledged for one, _, _ in seen) > len(seen)
