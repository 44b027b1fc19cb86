"""An open file of any size, seen as lines of UTF-8 text."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lash_host_tools_files.budget import plural, shown_path
from lash_host_tools_files.errors import FileToolError

__all__ = ["PROBE_BYTES", "Decoded", "TextFile", "binary_file", "decode", "decode_beginning", "is_binary"]

PROBE_BYTES: Final = 8 * 1024
_CHUNK_BYTES: Final = 1024 * 1024
_CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_LONGEST_CHARACTER_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Text, how many bytes it was made of, and in how many places U+FFFD stands for something else."""

    text: str
    used_bytes: int
    replaced: int


class TextFile:
    """A regular file opened for reading.

    Args:
        fd: Its descriptor.
        path: As the model named it.
        max_scan_bytes: How far line ends are looked for.
    """

    def __init__(self, fd: int, *, path: str, max_scan_bytes: int) -> None:
        self._fd, self._path, self._max_scan_bytes = fd, path, max_scan_bytes
        self.size = os.fstat(fd).st_size

    def read_at(self, position: int, count: int) -> bytes:
        """Read so many bytes, fewer only at the end of the file."""
        data = b""
        while len(data) < count:
            more = os.pread(self._fd, count - len(data), position + len(data))
            if not more:
                break
            data += more
        return data

    def line_start(self, offset: int) -> int:
        """Find the line that so many lines come before.

        Raises:
            FileToolError: There is no such line, or it lies beyond the scan.
        """
        if not offset:
            return 0
        lines, position, last = 0, 0, b"\n"
        for chunk in self._chunks(0):
            found = chunk.count(b"\n")
            if lines + found >= offset:
                return self._existing(position + _nth_line_end(chunk, offset - lines) + 1, offset)
            lines, position, last = lines + found, position + len(chunk), chunk[-1:]
        if position >= self._max_scan_bytes:
            message = f"line {offset + 1} lies beyond the first {position:,} bytes, which are all that is read"
            raise FileToolError(f"{shown_path(self._path)}: {message}", code="too_large")
        raise self._past_end(offset, lines=lines + (last != b"\n"))

    def column_start(self, start: int, column_bytes: int) -> int:
        """Find a byte of the line that begins at ``start``, moved on to the next whole character.

        Raises:
            FileToolError: The line is not that long.
        """
        end = self.line_end(start)
        reach = self._max_scan_bytes if end is None else end - start
        position = start + column_bytes
        if column_bytes < reach:
            following = self.read_at(position, _LONGEST_CHARACTER_BYTES - 1)
            position += len(following) - len(following.lstrip(_CONTINUATION_BYTES))
        if position - start >= reach:
            message = f"{shown_path(self._path)}: the line has {plural(reach, 'byte')} that can be read"
            raise FileToolError(f"{message}; column_bytes {column_bytes} is past them", code="past_end")
        return position

    def line_end(self, start: int) -> int | None:
        """Find where the line that begins at ``start`` ends, or None where that is beyond the scan."""
        position = start
        for chunk in self._chunks(start):
            found = chunk.find(b"\n")
            if found >= 0:
                return position + found
            position += len(chunk)
        return position if position - start < self._max_scan_bytes else None

    def count_lines(self, start: int) -> tuple[int, bool]:
        """Count the lines from ``start`` on, and say whether those are all."""
        lines, position, last = 0, start, b"\n"
        for chunk in self._chunks(start):
            lines, position, last = lines + chunk.count(b"\n"), position + len(chunk), chunk[-1:]
        return lines + (last != b"\n"), position - start < self._max_scan_bytes

    def _chunks(self, start: int) -> Iterator[bytes]:
        position = start
        while position - start < self._max_scan_bytes:
            chunk = os.pread(self._fd, min(_CHUNK_BYTES, self._max_scan_bytes - position + start), position)
            if not chunk:
                return
            yield chunk
            position += len(chunk)

    def _existing(self, position: int, offset: int) -> int:
        if not self.read_at(position, 1):
            raise self._past_end(offset, lines=offset)
        return position

    def _past_end(self, offset: int, *, lines: int) -> FileToolError:
        message = f"{shown_path(self._path)}: has {plural(lines, 'line')}; offset {offset} is past the end"
        return FileToolError(message, code="past_end")


def is_binary(beginning: bytes) -> bool:
    """Say whether a file begins like none that holds text in UTF-8: with a zero byte in its first 8 KiB."""
    return b"\0" in beginning[:PROBE_BYTES]


def binary_file(path: str, *, size: int) -> FileToolError:
    """Make the error for a file that holds no text."""
    return FileToolError(f"{shown_path(path)}: is binary ({plural(size, 'byte')}), not text", code="binary_file")


def decode(raw: bytes) -> Decoded:
    """Decode UTF-8. Invalid bytes and zero bytes become U+FFFD: no store or terminal minds the result."""
    text = raw.decode(errors="replace").replace("\0", _REPLACEMENT)
    return Decoded(text=text, used_bytes=len(raw), replaced=_replaced(text, raw))


def decode_beginning(raw: bytes, *, max_bytes: int) -> Decoded:
    """Decode as much as takes at most ``max_bytes`` bytes of UTF-8 once decoded, cutting no character."""
    count = max_bytes
    while True:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(raw[:count]).replace("\0", _REPLACEMENT)
        used = min(count, len(raw)) - len(decoder.getstate()[0])
        size = len(text.encode())
        if size <= max_bytes:
            return Decoded(text=text, used_bytes=used, replaced=_replaced(text, raw[:used]))
        count = count * max_bytes // size


def _replaced(text: str, raw: bytes) -> int:
    return text.count(_REPLACEMENT) - raw.count(_REPLACEMENT.encode())


def _nth_line_end(chunk: bytes, number: int) -> int:
    at = -1
    for _ in range(number):
        at = chunk.index(b"\n", at + 1)
    return at
