"""What class a batch is, and which batches a claim may take."""

from __future__ import annotations

import pytest

from lash_host.domain.claim import ClaimRow
from lash_host.domain.lease import LeaseOwner
from lash_host.domain.queue import (
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    QueueBoundary,
    RefreshToolCatalog,
    ResetSession,
    SessionCommand,
    SlotPolicy,
    WorkClass,
)
from lash_host.domain.queue_rules import (
    InvalidBatch,
    NotTaken,
    QueueEntry,
    Taken,
    WhyNot,
    classify,
    ready_entries,
    select_command,
    select_turn_work,
)

NOW = 1_000
WAKE = ProcessWake(process_id="p", event_sequence=1)
RESET = SessionCommand(command=ResetSession())
REFRESH = SessionCommand(command=RefreshToolCatalog(reason="new tools"))
IDLE, CHECKPOINT = QueueBoundary.IDLE, QueueBoundary.ACTIVE_TURN_CHECKPOINT
AFTER_COMMIT = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
GROUP_A, GROUP_B = MergeKey(kind="group", group="a"), MergeKey(kind="group", group="b")
GONE = LeaseOwner(owner_id="gone", incarnation_id="1")


def claimed(*, until: int = NOW + 1, by: LeaseOwner | None = None) -> ClaimRow:
    return ClaimRow(fencing_token=1, claim_id="c", claim_token="t", owner=by, expires_at_ms=until)


def entry(batch_id: str, **changes: object) -> QueueEntry:
    values = {
        "work_class": WorkClass.TURN_WORK,
        "delivery_policy": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        "slot_policy": SlotPolicy.JOIN,
        "merge_key": MergeKey(),
        "available_at_ms": 0,
        "claim": ClaimRow(),
    }
    return QueueEntry(batch_id=batch_id, **(values | changes))


def command(batch_id: str, **changes: object) -> QueueEntry:
    return entry(batch_id, work_class=WorkClass.SESSION_COMMAND, slot_policy=SlotPolicy.EXCLUSIVE, **changes)


def exclusive(batch_id: str, **changes: object) -> QueueEntry:
    return entry(batch_id, slot_policy=SlotPolicy.EXCLUSIVE, **changes)


def chosen(decision: Taken | NotTaken) -> list[str] | WhyNot:
    return decision.why if isinstance(decision, NotTaken) else [one.batch_id for one in decision.entries]


def take(entries, *, boundary=IDLE, limit=64, batch_ids=None, owner_is_dead=None):
    return chosen(
        select_turn_work(
            entries, boundary=boundary, limit=limit, now_ms=NOW, batch_ids=batch_ids, owner_is_dead=owner_is_dead
        )
    )


@pytest.mark.parametrize(
    ("payloads", "expected"),
    [
        ([WAKE], WorkClass.TURN_WORK),
        ([WAKE, WAKE], WorkClass.TURN_WORK),
        ([RESET], WorkClass.SESSION_COMMAND),
        ([RESET, REFRESH], WorkClass.SESSION_COMMAND),
    ],
)
def test_a_batch_is_of_the_class_of_its_payloads(payloads, expected):
    assert classify(payloads) is expected


@pytest.mark.parametrize("payloads", [[], [WAKE, RESET], [RESET, WAKE, WAKE]])
def test_a_batch_without_one_class_is_none(payloads):
    decision = classify(payloads)
    assert isinstance(decision, InvalidBatch)
    assert decision.problem


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([], WhyNot.NOTHING_READY),
        ([command("c")], ["c"]),
        ([command("c"), command("d")], ["c"]),
        ([command("c"), entry("w")], ["c"]),
        ([entry("w"), command("c")], WhyNot.OTHER_CLASS_FIRST),
        ([entry("w", claim=claimed()), command("c")], ["c"]),
        ([entry("w", available_at_ms=NOW + 1), command("c")], ["c"]),
        ([entry("w", available_at_ms=NOW), command("c")], WhyNot.OTHER_CLASS_FIRST),
        ([entry("w", claim=claimed(until=NOW)), command("c")], WhyNot.OTHER_CLASS_FIRST),
        ([command("c", claim=claimed()), command("d")], ["d"]),
        ([command("c", claim=claimed())], WhyNot.NOTHING_READY),
    ],
)
def test_a_command_is_taken_from_the_head_of_what_is_ready(queue, expected):
    assert chosen(select_command(queue, now_ms=NOW)) == expected


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([], WhyNot.NOTHING_READY),
        ([entry("w")], ["w"]),
        ([command("c"), entry("w")], WhyNot.OTHER_CLASS_FIRST),
        ([command("c", claim=claimed()), entry("w")], ["w"]),
        ([command("c", available_at_ms=NOW + 1), entry("w")], ["w"]),
        ([entry("w", claim=claimed())], WhyNot.NOTHING_READY),
        ([entry("w", claim=claimed(until=NOW))], ["w"]),
        ([entry("w", available_at_ms=NOW + 1)], WhyNot.NOTHING_READY),
        ([entry("w", available_at_ms=NOW)], ["w"]),
    ],
)
def test_turn_work_never_passes_a_ready_command(queue, expected):
    assert take(queue) == expected


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([entry("a"), entry("b")], ["a", "b"]),
        ([exclusive("a"), entry("b")], ["a"]),
        ([entry("a"), exclusive("b"), entry("c")], ["a"]),
        ([entry("a"), command("b"), entry("c")], ["a"]),
        ([entry("a", merge_key=GROUP_A), entry("b", merge_key=GROUP_A), entry("c", merge_key=GROUP_B)], ["a", "b"]),
        ([entry("a", merge_key=GROUP_A), entry("b", merge_key=GROUP_B), entry("c", merge_key=GROUP_A)], ["a"]),
        ([entry("a"), entry("b", merge_key=MergeKey(kind="payload_default"))], ["a"]),
        ([entry("a"), entry("b", delivery_policy=AFTER_COMMIT), entry("c")], ["a"]),
        ([entry("a", delivery_policy=AFTER_COMMIT), entry("b", delivery_policy=AFTER_COMMIT)], ["a", "b"]),
        ([entry("a"), entry("b", claim=claimed()), entry("c")], ["a", "c"]),
        ([entry("a"), entry("b", available_at_ms=NOW + 1), entry("c")], ["a", "c"]),
        ([entry("a"), exclusive("b", claim=claimed()), entry("c")], ["a", "c"]),
    ],
)
def test_neighbours_alike_are_taken_together(queue, expected):
    assert take(queue) == expected


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([entry("a"), entry("b")], ["a", "b"]),
        ([entry("a", delivery_policy=AFTER_COMMIT)], WhyNot.NOT_AT_A_CHECKPOINT),
        ([entry("a", delivery_policy=AFTER_COMMIT), entry("b")], WhyNot.NOT_AT_A_CHECKPOINT),
        ([entry("a", delivery_policy=AFTER_COMMIT, claim=claimed()), entry("b")], ["b"]),
        ([entry("a"), entry("b", delivery_policy=AFTER_COMMIT)], ["a"]),
        ([command("c"), entry("a", delivery_policy=AFTER_COMMIT)], WhyNot.OTHER_CLASS_FIRST),
    ],
)
def test_only_the_head_says_whether_a_checkpoint_will_do(queue, expected):
    assert take(queue, boundary=CHECKPOINT) == expected


@pytest.mark.parametrize(
    ("limit", "expected"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"]), (9, ["a", "b", "c"])]
)
def test_a_limit_cuts_a_group(limit, expected):
    assert take([entry("a"), entry("b"), entry("c")], limit=limit) == expected


@pytest.mark.parametrize(
    ("batch_ids", "expected"),
    [
        (["a"], ["a"]),
        (["a", "b"], ["a", "b"]),
        (["b"], WhyNot.OTHER_BATCHES),
        (["b", "a"], WhyNot.OTHER_BATCHES),
        (["a", "c"], WhyNot.OTHER_BATCHES),
        (["a", "b", "c"], WhyNot.OTHER_BATCHES),
        (["a", "a"], WhyNot.OTHER_BATCHES),
        (["x"], WhyNot.OTHER_BATCHES),
    ],
)
def test_exact_ids_are_taken_in_order_or_nothing_is(batch_ids, expected):
    assert take([entry("a"), entry("b"), exclusive("c")], batch_ids=batch_ids) == expected


def test_exact_ids_are_bound_by_the_limit_too():
    assert take([entry("a"), entry("b")], batch_ids=["a", "b"], limit=1) == WhyNot.OTHER_BATCHES


def test_exact_ids_pass_what_is_claimed_but_not_what_is_ready():
    queue = [entry("a", claim=claimed()), exclusive("b"), exclusive("c")]
    assert take(queue, batch_ids=["b"]) == ["b"]
    assert take(queue, batch_ids=["c"]) == WhyNot.OTHER_BATCHES
    assert take(queue, batch_ids=["a"]) == WhyNot.OTHER_BATCHES


@pytest.mark.parametrize(("dead", "expected"), [({"gone"}, ["a", "b"]), (set(), ["b"])])
def test_what_a_dead_owner_claimed_is_free(dead, expected):
    queue = [entry("a", claim=claimed(by=GONE)), entry("b")]
    assert take(queue, owner_is_dead=lambda owner: owner.owner_id in dead) == expected


def test_a_dead_owners_command_comes_first_again():
    queue = [command("c", claim=claimed(by=GONE)), entry("w")]
    assert take(queue, owner_is_dead=lambda _: True) == WhyNot.OTHER_CLASS_FIRST
    assert chosen(select_command(queue, now_ms=NOW, owner_is_dead=lambda _: True)) == ["c"]


def test_claimed_work_hides_nothing_however_much_there_is():
    queue = [entry(f"claimed{number}", claim=claimed()) for number in range(500)]
    assert take([*queue, entry("ready")], limit=1) == ["ready"]


def test_no_more_of_a_queue_is_read_than_is_needed():
    def queue():
        yield entry("a")
        yield exclusive("b")
        pytest.fail("read on")

    assert take(queue()) == ["a"]
    assert [one.batch_id for one in ready_entries([entry("a"), entry("b", claim=claimed())], now_ms=NOW)] == ["a"]
