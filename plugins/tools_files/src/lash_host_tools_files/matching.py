"""The lines of one open file that a pattern is found in, read in blocks of bounded size."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from lash_host_tools_files.patterns import Pattern
from lash_host_tools_files.textfile import decode, is_binary

__all__ = ["FileMatches", "Match"]

_BLOCK_BYTES: Final = 64 * 1024
_EXCERPT_BYTES: Final = 300
_BEFORE_BYTES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line with a match: its number from 1, its bytes, and where in it the match begins."""

    line: int
    raw: bytes
    at: int

    def excerpt(self) -> str:
        """Give the line, of a long one the part around the match."""
        raw = self.raw.removesuffix(b"\r")
        if len(raw) <= _EXCERPT_BYTES:
            return decode(raw).text
        begin = max(0, self.at - _BEFORE_BYTES)
        end = min(len(raw), begin + _EXCERPT_BYTES)
        return f"{'…' if begin else ''}{raw[begin:end].decode(errors='ignore')}{'…' if end < len(raw) else ''}".replace(
            "\0", ""
        )


class FileMatches:
    """A pass over one file.

    Args:
        fd: The file, at its beginning.
        is_over: Asked before each block; ends the pass.

    Attributes:
        is_binary: Whether it was found to be binary, which ends the pass.
        was_stopped: Whether ``is_over`` ended the pass.
        cut_lines: How many lines were longer than a block, and searched in their beginning only.
    """

    def __init__(self, fd: int, *, is_over: Callable[[], bool]) -> None:
        self._fd, self._is_over = fd, is_over
        self.is_binary = False
        self.was_stopped = False
        self.cut_lines = 0

    def find(self, pattern: Pattern) -> Iterator[Match]:
        """Give each line with a match, once.

        Raises:
            OSError: The file cannot be read on.
        """
        for first_line, block in self._blocks():
            yield from _find_in(block, pattern, first_line=first_line)

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        """Give the file's lines, whole ones, as many at once as a block has, with the first one's number."""
        line, carry, in_cut_line = 1, b"", False
        while chunk := self._read(is_first=line == 1 and not carry and not in_cut_line):
            if in_cut_line:
                _, newline, chunk = chunk.partition(b"\n")
                if not newline:
                    continue
                line, in_cut_line = line + 1, False
            whole, newline, carry = (carry + chunk).rpartition(b"\n")
            if newline:
                yield line, whole + newline
                line += whole.count(b"\n") + 1
            if len(carry) >= _BLOCK_BYTES:
                yield line, carry
                carry, in_cut_line = b"", True
                self.cut_lines += 1
        if carry and not self.was_stopped:
            yield line, carry

    def _read(self, *, is_first: bool) -> bytes:
        if self._is_over():
            self.was_stopped = True
            return b""
        chunk = os.read(self._fd, _BLOCK_BYTES)
        if is_first and is_binary(chunk):
            self.is_binary = True
            return b""
        return chunk


def _find_in(block: bytes, pattern: Pattern, *, first_line: int) -> Iterator[Match]:
    line, counted, position = first_line, 0, 0
    while position < len(block) and (span := pattern.find(block, position)) is not None:
        at = span[0]
        begin = block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        if begin == len(block):
            return
        line += block.count(b"\n", counted, begin)
        counted = begin
        yield Match(line=line, raw=block[begin:] if end < 0 else block[begin:end], at=at - begin)
        if end < 0:
            return
        position = end + 1
