"""The session plugin: the file tools as a model sees them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Final

from lash_host import FailureClass, SessionPlugin, ToolOutput, ToolRetryPolicy, ToolScheduling, tool
from lash_host.errors import InvalidPluginOptions
from lash_host.hookspecs.host import PluginSessionContext
from lash_host_tools_files.errors import ErrorCode, FileToolError
from lash_host_tools_files.listing import list_files
from lash_host_tools_files.options import FilesOptions, root_folder
from lash_host_tools_files.reading import read_file
from lash_host_tools_files.root import Root
from lash_host_tools_files.searching import SearchQuery, search_files
from lash_host_tools_files.walking import Allowance
from lash_host_tools_files.writing import write_file

__all__ = ["FilesPlugin", "WritableFilesPlugin", "files_plugin"]

_SECONDS: Final = 10.0
_MAY_RUN_AGAIN: Final = ToolRetryPolicy(mode="safe")
_FAILURE_CLASSES: Final[dict[ErrorCode, FailureClass]] = {
    "invalid_argument": FailureClass.INVALID_REQUEST,
    "invalid_path": FailureClass.INVALID_REQUEST,
    "invalid_pattern": FailureClass.INVALID_REQUEST,
    "outside_root": FailureClass.PERMISSION,
    "permission_denied": FailureClass.PERMISSION,
    "protected_path": FailureClass.PERMISSION,
    "read_only": FailureClass.PERMISSION,
    "root_missing": FailureClass.UNAVAILABLE,
}


class FilesPlugin(SessionPlugin[None]):
    """The tools that look at files and change none.

    Raises:
        InvalidPluginOptions: An option is unknown or of the wrong type, or the root is no folder.
    """

    options_type = FilesOptions
    options: FilesOptions

    def __init__(self, context: PluginSessionContext) -> None:
        super().__init__(context)
        try:
            self.root = Root(root_folder(self.options))
        except ValueError as exc:
            raise InvalidPluginOptions(context.plugin_id, str(exc)) from exc

    @tool(retry_policy=_MAY_RUN_AGAIN)
    async def list_files(
        self, path: str = ".", *, recursive: bool = False, glob: str | None = None, offset: int = 0
    ) -> ToolOutput:
        """List files and folders. Folders end with "/", files are followed by their size. Links are not followed.

        Args:
            path: Folder to list, relative to the root folder.
            recursive: Also list what is in its subfolders.
            glob: Only list what matches, such as "*.py", "src/**/*.ts" or "*.{md,txt}".
            offset: Number of entries to skip, to go on with a long listing.
        """
        return await _output(
            lambda allowance: list_files(
                self.root, path, recursive=recursive, glob=glob, offset=offset, allowance=allowance
            )
        )

    @tool(retry_policy=_MAY_RUN_AGAIN)
    async def read_file(
        self, path: str, *, offset: int = 0, limit: int | None = None, column_bytes: int = 0
    ) -> ToolOutput:
        """Read a text file, at most 400 lines or 16 KiB at once. If more is left, the last line says how to read on.

        Args:
            path: File to read, relative to the root folder.
            offset: Number of lines to skip.
            limit: Most lines to read.
            column_bytes: Number of bytes of the first line to skip, to read on in a very long line.
        """
        return await _output(
            lambda _: read_file(self.root, path, offset=offset, limit=limit, column_bytes=column_bytes)
        )

    @tool(retry_policy=_MAY_RUN_AGAIN)
    async def search_files(
        self,
        pattern: str,
        path: str = ".",
        *,
        glob: str | None = None,
        regex: bool = False,
        ignore_case: bool = False,
        offset: int = 0,
    ) -> ToolOutput:
        """Find the lines of text files that contain a text. Answers with path, line number and line.

        Args:
            pattern: Text to find, or a regular expression (RE2 syntax) if regex is true.
            path: Folder to search with all its subfolders, or one file, relative to the root folder.
            glob: Only search files that match, such as "*.py" or "src/**/*.ts".
            regex: Whether pattern is a regular expression.
            ignore_case: Whether upper and lower case are the same.
            offset: Number of matches to skip, to go on with a long answer.
        """
        query = SearchQuery(pattern=pattern, glob=glob, regex=regex, ignore_case=ignore_case, offset=offset)
        return await _output(lambda allowance: search_files(self.root, query, path, allowance=allowance))


class WritableFilesPlugin(FilesPlugin):
    """The tools that look at files, and the one that writes them."""

    @tool(scheduling=ToolScheduling.SERIAL)
    async def write_file(self, path: str, content: str, *, overwrite: bool = False) -> ToolOutput:
        """Write a whole text file, creating the folders it needs.

        Args:
            path: File to write, relative to the root folder.
            content: All of the file's new content.
            overwrite: Whether to replace the file if it exists already.
        """
        return await _output(lambda _: write_file(self.root, path, content, overwrite=overwrite))


def files_plugin(context: PluginSessionContext) -> FilesPlugin:
    """Make the session plugin that the options ask for.

    Raises:
        InvalidPluginOptions: The options cannot be used.
    """
    plugin = WritableFilesPlugin(context)
    return plugin if plugin.options.writable else FilesPlugin(context)


async def _output(work: Callable[[Allowance], str]) -> ToolOutput:
    """Do blocking work on a thread. It is told to stop when the call is cancelled."""
    stop = threading.Event()
    try:
        text = await asyncio.to_thread(lambda: work(Allowance(_SECONDS, stop=stop)))
    except FileToolError as exc:
        failure_class = _FAILURE_CLASSES.get(exc.code, FailureClass.EXECUTION)
        return ToolOutput.failure(str(exc), code=exc.code, failure_class=failure_class)
    finally:
        stop.set()
    return ToolOutput.success(text)
