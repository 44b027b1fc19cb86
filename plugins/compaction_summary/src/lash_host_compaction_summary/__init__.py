"""Compaction for lash-host: the older part of a session becomes a summary in a fresh frame."""

from __future__ import annotations

from lash_host_compaction_summary.plugin import CompactionOptions, lash_create_session_plugin

__all__ = ["CompactionOptions", "lash_create_session_plugin"]
