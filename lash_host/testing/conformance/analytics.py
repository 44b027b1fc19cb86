"""What views and queries promise, one test a promise. The SQL is what every database here understands."""

from __future__ import annotations

import pytest

from lash_host.contracts.store import SessionStore, UsageView
from lash_host.errors import QueryFailed, QueryRefused, StoreError, UsageFault
from lash_host.testing.conformance.backend import Backend, StoreSuite
from lash_host.testing.conformance.samples import SampleSession

__all__ = ["AnalyticsConformance"]

_NAMES = UsageView(name="names", sql="SELECT session_id FROM lash_rows.sessions", description="What it's all about.")
_COUNT = UsageView(name="count", sql="SELECT count(*) AS n FROM usage.names;", description="How many.")


class AnalyticsConformance(StoreSuite):
    """Views are there, queries read, and nothing can be done by them."""

    def test_a_query_gives_columns_and_rows(self, store: SessionStore) -> None:
        result = store.query("SELECT 1 AS a, 'x' AS b")
        assert list(result.columns) == ["a", "b"]
        assert result.fetchall() == [(1, "x")]

    def test_a_query_takes_parameters_by_name(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        query = "SELECT node_id FROM lash_rows.nodes WHERE node_id = $wanted"
        assert store.query(query, {"wanted": "a"}).fetchall() == [("a",)]
        assert store.query(query, {"wanted": "b"}).fetchall() == []

    def test_a_query_sees_what_was_committed(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a", "b")
        assert store.query("SELECT count(*) FROM lash_rows.nodes").fetchall() == [(2,)]

    def test_rows_are_read_once(self, store: SessionStore) -> None:
        result = store.query("SELECT 1")
        result.fetchall()
        with pytest.raises(UsageFault):
            result.fetchall()

    def test_rows_that_were_let_go_cannot_be_read(self, store: SessionStore) -> None:
        result = store.query("SELECT 1")
        result.close()
        result.close()
        with pytest.raises(UsageFault):
            result.fetchall()

    def test_a_result_that_is_open_does_not_hold_up_a_commit(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        result = store.query("SELECT count(*) FROM lash_rows.nodes")
        session.commit("b", after="a")
        assert result.fetchall() == [(1,)]

    @pytest.mark.parametrize(
        "sql",
        [
            "DROP TABLE lash_rows.nodes",
            "DELETE FROM lash_rows.sessions",
            "INSERT INTO lash_rows.meta VALUES ('a', 'b')",
            "UPDATE lash_rows.sessions SET head_revision = 0",
            "CREATE TABLE lash.more (a INTEGER)",
            "CREATE VIEW usage.more AS SELECT 1",
            "BEGIN",
            "COMMIT",
            "",
            "  -- nothing",
            "SELECT 1; SELECT 2",
            "SELECT 1; DROP TABLE lash_rows.nodes",
        ],
    )
    def test_whatever_is_not_one_read_only_statement_is_refused(
        self, store: SessionStore, session: SampleSession, sql: str
    ) -> None:
        session.commit("a")
        with pytest.raises(QueryRefused):
            store.query(sql)
        assert session.node_ids() == ["a"]

    def test_writing_inside_a_query_fails(self, store: SessionStore, session: SampleSession) -> None:
        session.commit("a")
        with pytest.raises((QueryRefused, QueryFailed)):
            store.query("WITH gone AS (DELETE FROM lash_rows.nodes RETURNING node_id) SELECT * FROM gone")
        assert session.node_ids() == ["a"]

    @pytest.mark.parametrize("sql", ["SELECT * FROM nowhere", "SELECT FROM WHERE", "SELECT CAST('x' AS INTEGER)"])
    def test_what_the_database_says_is_passed_on(self, store: SessionStore, sql: str) -> None:
        with pytest.raises(QueryFailed) as caught:
            store.query(sql)
        assert str(caught.value)

    def test_views_can_be_queried(self, store: SessionStore, session: SampleSession) -> None:
        store.install_views([_NAMES, _COUNT])
        session.commit("a")
        assert store.query("SELECT session_id FROM usage.names").fetchall() == [("alpha",)]
        assert store.query("SELECT n FROM usage.count").fetchall() == [(1,)]

    def test_views_can_be_installed_again(self, store: SessionStore) -> None:
        store.install_views([_NAMES, _COUNT])
        store.install_views([_NAMES, _COUNT])
        assert store.query("SELECT n FROM usage.count").fetchall() == [(0,)]

    def test_a_view_can_be_replaced(self, store: SessionStore) -> None:
        store.install_views([_NAMES, _COUNT])
        store.install_views([UsageView(name="names", sql="SELECT 1 AS one, 2 AS two", description="Other.")])
        assert list(store.query("SELECT * FROM usage.names").columns) == ["one", "two"]

    def test_a_view_that_is_not_wanted_any_more_goes(self, store: SessionStore) -> None:
        store.install_views([_NAMES, _COUNT])
        store.install_views([_NAMES])
        with pytest.raises(QueryFailed):
            store.query("SELECT * FROM usage.count")

    def test_a_view_that_is_refused_changes_none(self, store: SessionStore) -> None:
        store.install_views([_NAMES])
        broken = UsageView(name="broken", sql="SELECT * FROM nowhere", description="Broken.")
        with pytest.raises(StoreError, match="broken"):
            store.install_views([_NAMES, broken])
        assert store.query("SELECT * FROM usage.names").fetchall() == []

    def test_views_survive_a_reopen(self, backend: Backend) -> None:
        if not backend.shares_storage:
            assert backend.durability == "ephemeral"
            return
        before = backend.open()
        before.install_views([_NAMES])
        before.close()
        after = backend.open()
        assert after.query("SELECT * FROM usage.names").fetchall() == []
        after.close()
