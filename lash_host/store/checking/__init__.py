"""Reading everything in a store, and saying exactly what is wrong with it."""

from __future__ import annotations

from lash_host.contracts.maintenance import Progress
from lash_host.domain.maintenance import CheckReport
from lash_host.store.checking.attachments import check_attachments
from lash_host.store.checking.bodies import check_blobs
from lash_host.store.checking.commits import check_commits
from lash_host.store.checking.findings import Findings
from lash_host.store.checking.graph import check_graph
from lash_host.store.checking.heads import check_heads
from lash_host.store.checking.log import check_log
from lash_host.store.checking.records import check_records
from lash_host.store.work import Engine

__all__ = ["check_store"]


def check_store(engine: Engine, *, progress: Progress | None = None) -> CheckReport:
    """Check a store; see `StoreMaintenance.check`.

    All is read on one snapshot but for the bytes of attachments, which may be put and reclaimed meanwhile.
    """
    findings = Findings(progress)
    with engine.read() as transaction:
        findings.learn_sessions(transaction)
        check_log(transaction, findings)
        check_heads(transaction, findings)
        check_graph(transaction, findings)
        check_records(transaction, findings)
        check_commits(transaction, findings)
        check_blobs(transaction, findings)
        references = check_attachments(transaction, engine.attachment_bytes, findings)
    return findings.report(attachments=references)
