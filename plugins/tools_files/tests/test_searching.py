from __future__ import annotations

import os
import re

import pytest

from lash_host_tools_files.budget import OutputBudget
from lash_host_tools_files.errors import FileToolError
from lash_host_tools_files.patterns import compile_pattern
from lash_host_tools_files.searching import SearchQuery, search_files
from lash_host_tools_files.walking import Allowance


@pytest.fixture
def search(root, allowance):
    def search(pattern, path=".", **kwargs):
        return search_files(root, SearchQuery(pattern=pattern, **kwargs), path, allowance=allowance)

    return search


def test_matches_are_given_with_path_line_and_text(make, search):
    make("b.txt", "nothing\nthe needle here\nneedle\tneedle\r\nlast needle")
    make("a/c.txt", "needle\n")
    assert search("needle").splitlines() == [
        "b.txt:2: the needle here",
        "b.txt:3: needle\tneedle",
        "b.txt:4: last needle",
        "a/c.txt:1: needle",
    ]


def test_a_text_is_taken_literally_unless_it_is_an_expression(make, search):
    make("a.txt", "f(x) = [1]*\nfx 1\n")
    assert search("f(x) = [1]*") == "a.txt:1: f(x) = [1]*"
    assert search(r"f\(?x", regex=True).splitlines() == ["a.txt:1: f(x) = [1]*", "a.txt:2: fx 1"]


def test_expressions_work_on_lines(make, search):
    make("a.txt", "alpha\nbeta\n\ngamma  \n")
    assert search("^b.*a$", regex=True) == "a.txt:2: beta"
    assert search(r"a\s+b", regex=True).startswith("[no match")
    assert search(r"^$", regex=True) == "a.txt:3: "
    assert search(r"^[^x]+\s$", regex=True) == "a.txt:4: gamma  "


def test_case_can_be_ignored_in_any_alphabet(make, search):
    make("a.txt", "STRASSE\nÉTÉ\nжиж ЖИЖ\n")
    assert search("strasse", ignore_case=True) == "a.txt:1: STRASSE"
    assert search("été", ignore_case=True) == "a.txt:2: ÉTÉ"
    assert search("Жи.", ignore_case=True, regex=True) == "a.txt:3: жиж ЖИЖ"
    assert search("strasse").startswith("[no match")


def test_globs_choose_files(make, search):
    make("a.py", "x")
    make("src/b.py", "x")
    make("src/c.txt", "x")
    assert search("x", glob="*.py").splitlines() == ["a.py:1: x", "src/b.py:1: x"]
    assert search("x", glob="src/**").splitlines() == ["src/b.py:1: x", "src/c.txt:1: x"]
    assert search("x", "src", glob="b.*") == "src/b.py:1: x"


def test_what_is_not_text_in_the_root_is_passed_over(make, search, folder, outside):
    make("a.bin", b"SECRET\0")
    make(".git/config", "SECRET")
    os.mkfifo(folder / "pipe")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "linked").symlink_to(outside)
    (folder / "zero").symlink_to("/dev/zero")
    assert search("SECRET") == "[no match for the text SECRET in .: 0 files searched, 1 binary file passed over]"


def test_one_file_can_be_searched(make, search, folder, outside):
    make("a.txt", "x\ny\n")
    make("b.bin", b"\0")
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to(outside / "secret.txt")
    (folder / "inner").symlink_to("a.txt")
    assert search("y", "a.txt") == "a.txt:2: y"
    assert search("y", "inner") == "a.txt:2: y"
    for path, code in [
        ("b.bin", "binary_file"),
        ("pipe", "not_a_regular_file"),
        ("link", "outside_root"),
        ("nope", "not_found"),
        ("../outside", "outside_root"),
    ]:
        with pytest.raises(FileToolError) as caught:
            search("y", path)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("pattern", "regex"),
    [
        ("", False),
        ("x" * 1001, False),
        ("a\nb", False),
        ("\ud800", False),
        ("[", True),
        (r"(a)\1", True),
        ("(?=a)", True),
        ("(?:(?:(?:a?){50}){50}){50}", True),
        (r"(?:\pL{1,30}){30}", True),
        (".{0,999}a.{0,999}b.{0,999}", True),
    ],
)
def test_impossible_patterns_are_refused(search, pattern, regex):
    with pytest.raises(FileToolError) as caught:
        search(pattern, regex=regex)
    assert caught.value.code == "invalid_pattern"


def test_a_negative_offset_is_refused(search):
    with pytest.raises(FileToolError) as caught:
        search("x", offset=-1)
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+!", r"(.*a){30}!", r"(a*)*b", r"([a-z]+)*\d", r"(x+x+)+y"])
def test_no_expression_backtracks(pattern):
    compiled = compile_pattern(pattern, regex=True, ignore_case=False)
    assert compiled.find(b"a" * 100_000 + b"?", 0) is None


def test_matches_over_the_budget_can_be_gone_on_with(make, search):
    make("a.txt", "".join(f"needle {number} {'é' * (number % 150)}\n" for number in range(1000)))
    seen, offset = [], 0
    while True:
        text = search("needle", offset=offset)
        assert len(text.encode()) <= OutputBudget().max_bytes
        assert text.count("\n") < OutputBudget().max_lines
        *lines, last = text.splitlines()
        marker = re.match(
            r"\[matches \d+-(\d+) of 1,000 shown, [\d,]+ match(?:es)? left out: go on with offset=(\d+)", last
        )
        if marker is None:
            seen += [*lines, last]
            break
        seen, offset = seen + lines, int(marker[2])
    assert [int(line.split()[2]) for line in seen] == list(range(1000))
    with pytest.raises(FileToolError) as caught:
        search("needle", offset=1000)
    assert caught.value.code == "past_end"


def test_exactly_the_budget_is_shown_whole(make, search):
    make("a.txt", "x\n" * 400)
    text = search("x")
    assert text.count("\n") == 399
    assert text.endswith("a.txt:400: x")
    make("a.txt", "x\n" * 401)
    assert search("x").splitlines()[-1].startswith("[matches 1-399 of 401 shown, 2 matches left out")


def test_too_many_matches_end_the_search(make, search):
    make("a.txt", "x\n" * 20_000)
    text = search("x")
    assert "[matches 1-398 of 10,000 shown" in text
    assert text.splitlines()[-1].startswith("[stopped after 10,000 matches")


def test_of_a_long_line_the_part_with_the_match_is_shown(make, search):
    make("a.txt", "é" * 5000 + "needle" + "é" * 5000)
    line = search("needle")
    assert re.fullmatch("a.txt:1: …é+needleé+…", line)
    assert len(line.encode()) < 350


def test_a_line_longer_than_a_block_is_searched_in_its_beginning(make, search):
    make("a.txt", "first\n" + "a" * 65_000 + "early" + "a" * 200_000 + "late\nnext late\n")
    assert search("early").splitlines()[0].startswith("a.txt:2: …")
    text = search("late").splitlines()
    assert text == ["a.txt:3: next late", "[1 line longer than 64 KiB searched only in that much]"]


@pytest.mark.parametrize("shift", [0, 1, 100, 65_530])
def test_line_numbers_hold_over_blocks(make, search, shift):
    lines = ["x" * shift] + [f"{number} {'y' * (number % 977)}" for number in range(3000)] + ["needle"]
    make("a.txt", "\n".join(lines))
    assert search("needle") == f"a.txt:{len(lines)}: needle"
    numbers = [int(line.split(":")[1]) for line in search(r"^\d+00 ", regex=True).splitlines()]
    assert numbers == [index for index, line in enumerate(lines, 1) if re.match(r"\d+00 ", line)]


def test_a_large_file_is_searched_in_blocks(make, search):
    make("big.txt", "some line of text that says nothing\n" * 1_400_000 + "needle\n")
    assert search("needle") == "big.txt:1400001: needle"


def test_time_ends_a_search_and_what_was_found_is_kept(make, root, clock):
    for name in "abc":
        make(f"{name}.txt", "x\n")
    ticks = iter([0, 0, 0, 10, 10, 10, 10, 10])
    allowance = Allowance(10, clock=lambda: next(ticks))
    text = search_files(root, SearchQuery(pattern="x"), allowance=allowance)
    assert text.splitlines() == [
        "a.txt:1: x",
        "[stopped after 10 s: what comes later was not looked at; narrow path or glob]",
    ]


def test_invalid_utf_8_and_control_characters_come_through_as_text(make, search):
    make("a.txt", b"x" * 9000 + b"\nneedle \xff\0 end\n")
    assert search("needle") == "a.txt:2: needle \ufffd\ufffd end"


def test_files_that_vanish_are_counted(make, root, allowance, folder, monkeypatch):
    make("a.txt", "x")
    make("b.txt", "x")
    from lash_host_tools_files import searching

    real = searching.open_regular

    def vanish(name, **kwargs):
        if name == "a.txt":
            (folder / name).unlink()
        return real(name, **kwargs)

    monkeypatch.setattr(searching, "open_regular", vanish)
    text = search_files(root, SearchQuery(pattern="x"), allowance=allowance)
    assert text.splitlines() == ["b.txt:1: x", "[1 file could not be read]"]
