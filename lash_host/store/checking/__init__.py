"""Reading everything in a store, and saying exactly what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from lash_host.contracts.maintenance import Progress
from lash_host.domain.maintenance import CheckReport
from lash_host.store.checking.attachments import check_attachments
from lash_host.store.checking.bodies import check_blobs
from lash_host.store.checking.commits import check_commits
from lash_host.store.checking.findings import Findings
from lash_host.store.checking.graph import check_graph
from lash_host.store.checking.heads import check_heads
from lash_host.store.checking.log import Logged, check_log, read_entries
from lash_host.store.checking.records import check_records
from lash_host.store.database import Transaction
from lash_host.store.work import Engine

__all__ = ["check_store"]


def check_store(engine: Engine, *, progress: Progress | None = None) -> CheckReport:
    """Check a store; see `StoreMaintenance.check`.

    All is read on one snapshot but for the bytes of attachments, which may be put and reclaimed meanwhile.
    """
    findings = Findings(progress)
    unreadable: tuple[type[Exception], ...] = (*engine.database.dialect.errors, TypeError, ValueError)
    with engine.database.read_at_leisure() as transaction:
        logged = read_entries(transaction, findings)
        try:
            _check_rows(engine, transaction, findings, logged)
        except unreadable as exc:
            if not findings.has("log_entry"):
                raise
            findings.problem("log_entry", None, f"what is committed cannot be read because of that: {exc}")
    return findings.report()


def _check_rows(engine: Engine, transaction: Transaction, findings: Findings, logged: Mapping[str, Logged]) -> None:
    findings.learn_sessions(transaction)
    check_log(transaction, findings, logged)
    check_heads(transaction, findings)
    check_graph(transaction, findings)
    check_records(transaction, findings)
    check_commits(transaction, findings)
    check_blobs(transaction, findings)
    check_attachments(transaction, engine.attachment_bytes, findings)
