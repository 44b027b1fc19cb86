"""File tools for lash-host: list, read, search and write inside one folder, with no way out of it."""

from __future__ import annotations

from lash_host import hookimpl
from lash_host.hookspecs.host import PluginSessionContext
from lash_host_tools_files.options import FilesOptions
from lash_host_tools_files.plugin import FilesPlugin, files_plugin

__all__ = ["FilesOptions", "FilesPlugin", "lash_create_session_plugin"]


@hookimpl
def lash_create_session_plugin(context: PluginSessionContext) -> FilesPlugin:
    """Bring the file tools to a session.

    Raises:
        InvalidPluginOptions: An option is unknown or of the wrong type, or the root is no folder.
    """
    return files_plugin(context)
