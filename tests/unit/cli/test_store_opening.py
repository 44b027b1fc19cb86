"""Telling that a store was brought to a new schema."""

from __future__ import annotations

import logging
from pathlib import Path

from lash_host.cli.store_opening import opening_store
from lash_host.store.migrations import MigrationReport

LOGGER = logging.getLogger("lash_host.store.migrations")
REPORT = MigrationReport(from_version=1, to_version=2, backup=Path("x.duckdb.v1-backup"))
SAID = "the store's schema went from version 1 to 2; what it was before is in x.duckdb.v1-backup\n"


def test_it_is_one_line_on_standard_error(make_terminal):
    fake = make_terminal()

    with opening_store(fake.terminal) as reports:
        LOGGER.info("%s", REPORT)
        assert fake.err == ""

    assert (fake.out, fake.err, reports) == ("", SAID, [REPORT])


def test_a_command_that_tells_it_itself_is_given_the_report(make_terminal):
    fake = make_terminal()

    with opening_store(fake.terminal, says=False) as reports:
        LOGGER.info("%s", REPORT)

    assert (fake.err, reports) == ("", [REPORT])


def test_logging_is_as_it_was_afterwards(make_terminal):
    before = (LOGGER.level, [*LOGGER.handlers])

    with opening_store(make_terminal().terminal):
        pass

    assert (LOGGER.level, LOGGER.handlers) == before


def test_without_a_backup_none_is_spoken_of():
    report = MigrationReport(from_version=1, to_version=3)

    assert str(report) == "the store's schema went from version 1 to 3"
