"""What PostgreSQL's errors mean to the store."""

from __future__ import annotations

import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from lash_host.errors import ForeignStore, StoreError, StoreUnreachable, StoreUnwritable
from lash_host.store.dialects.base import ConstraintViolated, TransactionConflict
from lash_host.store.dialects.url import StoreUrl

__all__ = ["is_connection_lost", "translate"]

_CONFLICTS = frozenset({"40001", "40P01", "55P03"})
_UNWRITABLE = frozenset({"25006", "42501", "53100", "53200", "58030"})
"""Read-only transaction, insufficient privilege, disk full, out of memory, I/O error."""

_FOREIGN = frozenset({"3F000", "42P01", "42703"})
"""A schema, table or column that is not there: the database's schema is not what its version says."""

_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
_REFUSED = frozenset({"28000", "28P01", "3D000"})
"""Wrong user, wrong password, no such database: trying again helps nobody."""


def is_connection_lost(error: BaseException) -> bool:
    """Whether the connection is of no use any more."""
    cause = _driver_error(error)
    state = _state(cause)
    if state is not None:
        return state in _LOST or state.startswith("08")
    return isinstance(cause, psycopg.OperationalError)


def translate(error: Exception, *, url: StoreUrl) -> StoreError:
    """Turn an error of psycopg into one of ours, by its SQLSTATE."""
    cause = _driver_error(error)
    state = _state(cause)
    message = _message(cause)
    if state in _CONFLICTS:
        return TransactionConflict(message)
    if state is not None and state.startswith("23"):
        return ConstraintViolated(message)
    if state in _UNWRITABLE:
        return StoreUnwritable(url.text, problem=message)
    if state in _FOREIGN:
        return ForeignStore(url.text, problem=message)
    if state in _REFUSED or is_connection_lost(cause):
        return StoreUnreachable(url.text, problem=message, retryable=not _is_refusal(state, message))
    return StoreError(f"{url.text}: {message}")


def _is_refusal(state: str | None, message: str) -> bool:
    """Whether the server said no. While connecting psycopg gives the message without its SQLSTATE."""
    return state in _REFUSED or "FATAL:" in message


def _driver_error(error: BaseException) -> BaseException:
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _state(error: BaseException) -> str | None:
    return error.sqlstate if isinstance(error, errors.Error) else None


def _message(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and "Multiple connection" not in line]
    return "; ".join(dict.fromkeys(lines)) or type(error).__name__
