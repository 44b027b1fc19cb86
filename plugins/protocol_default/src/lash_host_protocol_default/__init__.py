"""The default protocol of lash-host: the model calls tools natively, and answers when it calls none."""

from __future__ import annotations

from lash_host_protocol_default.plugin import DefaultProtocol, ProtocolOptions, lash_create_session_plugin

__all__ = ["DefaultProtocol", "ProtocolOptions", "lash_create_session_plugin"]
