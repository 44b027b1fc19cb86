from __future__ import annotations

import re
from pathlib import Path

import pytest

from lash_host_tools_files.budget import OutputBudget
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.reading import read_file
from lash_host_tools_files.root import Root

MAX_BYTES, MAX_LINES = 16 * 1024, 400


def within_budget(text: str, budget: OutputBudget | None = None) -> bool:
    budget = budget or OutputBudget()
    return len(text.encode()) <= budget.max_bytes and text.count("\n") + (not text.endswith("\n")) <= budget.max_lines


def numbered(count: int) -> str:
    return "".join(f"line {number}\n" for number in range(count))


def read_on(root, path, **kwargs):
    """Follow the markers to the end; give what was shown, without them."""
    text, arguments = "", dict(kwargs)
    for _ in range(10_000):
        page = read_file(root, path, **arguments)
        assert within_budget(page)
        body, _, last = page.rpartition("\n")
        marker = re.search(r"offset=(\d+)(?:, column_bytes=(\d+))?", last) if last.startswith("[line") else None
        if marker is None:
            return text + page
        is_cut = marker[2] is not None
        text += body + ("" if is_cut else "\n")
        arguments = {**kwargs, "offset": int(marker[1]), "column_bytes": int(marker[2] or 0)}
    raise AssertionError


def test_a_small_file_is_given_as_it_is(root, make):
    make("a.txt", "one\r\ntwo\n\n  thrée\ufeff")
    assert read_file(root, "a.txt") == "one\r\ntwo\n\n  thrée\ufeff"


def test_an_empty_file_says_so(root, make):
    make("a.txt")
    assert read_file(root, "a.txt") == "[a.txt is empty]"


def test_offset_and_limit_choose_lines(root, make):
    make("a.txt", numbered(10))
    assert read_file(root, "a.txt", offset=7) == "line 7\nline 8\nline 9\n"
    assert read_file(root, "a.txt", offset=2, limit=2) == (
        "line 2\nline 3\n[lines 3-4 of 10 shown, 6 lines (42 bytes) left out: read on with offset=4]"
    )
    assert read_file(root, "a.txt", offset=8, limit=2) == "line 8\nline 9\n"
    assert read_file(root, "a.txt", limit=9).endswith("1 line (7 bytes) left out: read on with offset=9]")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"offset": -1}, "invalid_argument"),
        ({"limit": 0}, "invalid_argument"),
        ({"column_bytes": -1}, "invalid_argument"),
        ({"offset": 3}, "past_end"),
        ({"offset": 99}, "past_end"),
        ({"offset": 10**30}, "past_end"),
        ({"column_bytes": 2}, "past_end"),
        ({"column_bytes": 10**30}, "past_end"),
    ],
)
def test_impossible_arguments_are_refused(root, make, arguments, code):
    make("a.txt", "aa\nbb\ncc")
    with pytest.raises(FileToolError) as caught:
        read_file(root, "a.txt", **arguments)
    assert caught.value.code == code


def test_past_the_end_names_the_number_of_lines(root, make):
    make("a.txt", numbered(3))
    make("b.txt", "x")
    make("c.txt", "")
    with pytest.raises(FileToolError, match="has 3 lines; offset 3 is past the end"):
        read_file(root, "a.txt", offset=3)
    with pytest.raises(FileToolError, match="has 1 line; offset 5 is past the end"):
        read_file(root, "b.txt", offset=5)
    with pytest.raises(FileToolError, match="has 0 lines; offset 1 is past the end"):
        read_file(root, "c.txt", offset=1)


def test_exactly_the_budget_of_lines_is_shown_whole(root, make):
    make("a.txt", numbered(MAX_LINES))
    make("b.txt", numbered(MAX_LINES).removesuffix("\n"))
    assert read_file(root, "a.txt") == numbered(MAX_LINES)
    assert read_file(root, "b.txt") == numbered(MAX_LINES).removesuffix("\n")


def test_one_line_over_the_budget_makes_room_for_the_marker(root, make):
    make("a.txt", numbered(MAX_LINES + 1))
    text = read_file(root, "a.txt")
    assert text.splitlines()[-2:] == [
        "line 398",
        "[lines 1-399 of 401 shown, 2 lines (18 bytes) left out: read on with offset=399]",
    ]
    assert within_budget(text)
    assert text.count("\n") + 1 == MAX_LINES


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("end", ["", "\n"])
def test_exactly_the_budget_of_bytes_is_shown_whole(root, make, letter, end):
    line = letter * (127 // len(letter.encode()))
    line += "x" * (127 - len(line.encode())) + "\n"
    content = (line * 128).removesuffix("\n")[: -len(end) or None] + end
    padded = content + ("" if end else "x" * (MAX_BYTES - len(content.encode())))
    padded = "x" * (MAX_BYTES - len(padded.encode())) + padded
    assert len(padded.encode()) == MAX_BYTES
    make("a.txt", padded)
    assert read_file(root, "a.txt") == padded
    make("b.txt", "x" + padded)
    text = read_file(root, "b.txt")
    assert within_budget(text)
    assert "read on with offset=" in text


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("shift", range(4))
def test_a_long_line_is_cut_between_characters_and_can_be_read_on(root, make, letter, shift):
    content = "x" * shift + letter * 12_000
    make("a.txt", content)
    text = read_file(root, "a.txt")
    assert within_budget(text)
    if len(content.encode()) > MAX_BYTES:
        assert "\ufffd" not in text
        assert f"[line 1 of {len(content.encode()):,} bytes is cut" in text
    assert read_on(root, "a.txt") == content


def test_every_file_can_be_read_to_its_end_by_its_markers(root, make):
    content = "".join(f"{'é' * (number * 37 % 900)} {number}\n" for number in range(700)) + "€" * 9000 + "\nlast"
    make("a.txt", content)
    assert read_on(root, "a.txt") == content


def test_a_long_line_says_what_follows_it(root, make):
    make("a.txt", "x" * 20_000 + "\nnext\nlast\n")
    text = read_file(root, "a.txt")
    assert text.endswith(
        "[line 1 of 20,000 bytes is cut, bytes 0-15984 are shown: read on in it with offset=0, column_bytes=15984"
        "; 2 lines after it, from offset=1]"
    )
    assert read_file(root, "a.txt", column_bytes=19_990) == "x" * 10 + "\nnext\nlast\n"


def test_a_column_within_a_character_moves_on_to_the_next(root, make):
    make("a.txt", "€€€\n")
    assert read_file(root, "a.txt", column_bytes=1) == "€€\n"
    assert read_file(root, "a.txt", column_bytes=3) == "€€\n"
    with pytest.raises(FileToolError, match="the line has 9 bytes that can be read; column_bytes 8 is past them"):
        read_file(root, "a.txt", column_bytes=8)


def test_invalid_utf_8_is_replaced_and_said(root, make):
    make("a.txt", "grün\n".encode("latin-1") + b"ok\n\xff\xfe\n")
    assert read_file(root, "a.txt") == "gr\ufffdn\nok\n\ufffd\ufffd\n[not valid UTF-8 text: 3 places shown as U+FFFD]"
    make("b.txt", "a \ufffd of its own\n")
    assert read_file(root, "b.txt") == "a \ufffd of its own\n"


@pytest.mark.parametrize(
    "content", [b"\xff" * 30_000, b"\xff" * 16_384, (b"\xff" * 60 + b"\n") * 200, b"a" + b"\x80\n" * 390]
)
def test_replacing_keeps_to_the_budget(root, make, content):
    make("a.txt", content)
    text = read_file(root, "a.txt")
    assert within_budget(text)
    assert "not valid UTF-8" in text


def test_binary_files_are_refused_by_their_size(root, make):
    make("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"x" * 1234)
    with pytest.raises(FileToolError, match=r"a\.png: is binary \(1,250 bytes\), not text") as caught:
        read_file(root, "a.png")
    assert caught.value.code == "binary_file"


def test_a_late_zero_byte_never_gets_through(root, make):
    make("a.txt", "x" * 9000 + "\n\0\nend\n")
    text = read_file(root, "a.txt")
    assert "\0" not in text
    assert text.endswith("\ufffd\nend\n[not valid UTF-8 text: 1 place shown as U+FFFD]")


def test_a_large_file_is_read_in_part(root, make):
    lines = 1_000_000
    make("big.txt", "".join(f"{number:049d}\n" for number in range(lines)))
    first = read_file(root, "big.txt")
    assert within_budget(first)
    assert "of 1,000,000 shown" in first
    assert read_file(root, "big.txt", offset=lines - 1) == f"{lines - 1:049d}\n"
    assert read_file(root, "big.txt", offset=500_000, limit=1).startswith(f"{500_000:049d}\n[lines 500001-500001 of")
    with pytest.raises(FileToolError, match="has 1,000,000 lines"):
        read_file(root, "big.txt", offset=lines)


def test_a_huge_hole_is_not_read_through(root, folder):
    with (folder / "sparse").open("wb") as file:
        file.write(b"text\n" * 2000)
        file.truncate(1 << 40)
    text = read_file(root, "sparse", max_scan_bytes=1 << 20)
    assert "of more than 2," in text
    assert "lines (1,099,511," in text
    with pytest.raises(FileToolError, match="beyond the first 1,048,576 bytes") as caught:
        read_file(root, "sparse", offset=100_000, max_scan_bytes=1 << 20)
    assert caught.value.code == "too_large"
    with pytest.raises(FileToolError) as caught:
        read_file(root, "sparse", offset=2000, column_bytes=10**30, max_scan_bytes=1 << 20)
    assert caught.value.code == "past_end"


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs the proc file system")
def test_a_file_without_a_size_is_read():
    assert "Linux" in read_file(Root("/proc"), "version")
