from __future__ import annotations

import pytest

from lash_host_tools_files.budget import OutputBudget, clip, cut_utf8, how_many_fit, plural, shown_path, with_notes

LINES = ["aé\n", "bb\n", "cc"]


def no_notes(shown):
    return []


def notes_when_cut(shown):
    return [] if shown == len(LINES) else [f"[{shown}]"]


@pytest.mark.parametrize(
    ("max_bytes", "max_lines", "notes_for", "expected"),
    [
        (9, 3, no_notes, 3),
        (8, 3, no_notes, 2),
        (9, 2, no_notes, 2),
        (9, 3, notes_when_cut, 3),
        (8, 3, notes_when_cut, 1),
        (7, 3, notes_when_cut, 1),
        (6, 3, notes_when_cut, 0),
        (10, 2, notes_when_cut, 1),
        (0, 0, notes_when_cut, 0),
    ],
)
def test_what_fits_is_exact_and_counts_the_notes(max_bytes, max_lines, notes_for, expected):
    budget = OutputBudget(max_bytes=max_bytes, max_lines=max_lines)
    shown = how_many_fit(LINES, notes_for, budget=budget)
    assert shown == expected
    if shown:
        text = with_notes(LINES[:shown], notes_for(shown))
        assert len(text.encode()) <= max_bytes
        assert len(text.splitlines()) <= max_lines


def test_the_break_before_a_note_is_counted():
    assert how_many_fit(["abc"], lambda _: ["!"], budget=OutputBudget(max_bytes=5)) == 1
    assert how_many_fit(["abc"], lambda _: ["!"], budget=OutputBudget(max_bytes=4)) == 0
    assert with_notes(["abc"], ["!"]) == "abc\n!"
    assert with_notes(["abc\n"], ["!", "?"]) == "abc\n!\n?"
    assert with_notes([], ["!"]) == "!"


def test_no_more_is_shown_than_wanted():
    assert how_many_fit(LINES, no_notes, budget=OutputBudget(), max_shown=1) == 1


@pytest.mark.parametrize(
    ("size", "expected"), [(0, ""), (1, "a"), (2, "a"), (3, "aé"), (5, "aé"), (6, "aé€"), (7, "aé€")]
)
def test_no_character_is_cut(size, expected):
    assert cut_utf8("aé€", size) == expected


def test_a_clipped_line_ends_with_an_ellipsis_within_its_size():
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abc…"
    assert clip("ééé", 5) == "é…"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a b/é.txt", "a b/é.txt"),
        ("a\nb\x1b", "a\\nb\\x1b"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a\u2028b\u202e", "a\\u2028b\\u202e"),
    ],
)
def test_a_shown_path_is_one_line_of_valid_text(path, expected):
    assert shown_path(path) == expected


def test_counts_have_their_noun():
    assert plural(1, "line") == "1 line"
    assert plural(0, "byte") == "0 bytes"
    assert plural(1234, "match", many="matches") == "1,234 matches"
