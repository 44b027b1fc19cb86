"""Rows as tables."""

from __future__ import annotations

import io

from lash_host.cli.tables import Column, align, fits, print_records, print_table

_COLUMNS = (Column("id", is_whole=True), Column("calls", is_number=True), Column("title"))


def test_a_pipe_gets_aligned_text_with_nothing_cut(make_terminal):
    fake = make_terminal(columns=20)

    print_table(fake.terminal, _COLUMNS, [("a", "1", "x" * 100), ("bbb", "1,000", "two\nlines")])

    assert fake.out.splitlines() == [
        "id   calls  title",
        f"a        1  {'x' * 100}",
        "bbb  1,000  two lines",
    ]


def test_aligned_text_streams():
    out, taken = io.StringIO(), []

    def rows():
        for number in range(1000):
            taken.append(len(out.getvalue()))
            yield [str(number)]

    align(out, [Column("number", is_number=True)], rows())

    assert taken[0] == 0
    assert taken[-1] > 0
    assert len(out.getvalue().splitlines()) == 1001


def test_a_terminal_is_not_overrun_and_ids_and_numbers_stay_whole(make_terminal):
    fake = make_terminal(out=True, columns=40, NO_COLOR="1")

    print_table(fake.terminal, _COLUMNS, [("session_0123456789", "1,234", "a title that is far too long for that")])

    lines = fake.out.splitlines()
    assert all(len(line.rstrip()) <= 40 for line in lines)
    assert "session_0123456789" in lines[-1]
    assert "1,234" in lines[-1]
    assert "a title" in lines[-1]
    assert lines[-1].rstrip().endswith("…")


def test_a_text_that_wraps_is_shown_whole(make_terminal):
    fake = make_terminal(out=True, columns=30, NO_COLOR="1")

    print_table(fake.terminal, [Column("n", is_number=True), Column("text", wraps=True)], [("1", "word " * 20)])

    assert fake.out.count("word") == 20


def test_wide_characters_count_as_two(make_terminal):
    fake = make_terminal(out=True, columns=20, NO_COLOR="1")

    print_table(fake.terminal, [Column("a"), Column("b", is_number=True)], [("日本", "1"), ("ab", "22")])

    first, second = (line.rstrip() for line in fake.out.splitlines()[-2:])
    assert (first, second) == ("日本   1", "ab    22")


def test_a_cell_cannot_steer_the_terminal(make_terminal):
    fake = make_terminal(out=True, NO_COLOR="1")

    print_table(fake.terminal, [Column("a")], [("\x1b[31m[bold]x",)])

    assert "\x1b" not in fake.out
    assert "[31m[bold]x" in fake.out


def test_records_for_what_is_too_wide(make_terminal):
    fake = make_terminal()

    print_records(fake.terminal, ["a", "long"], [("1", "2"), ("3", "4\n5")])

    assert fake.out == "row 1\na     1\nlong  2\n\nrow 2\na     3\nlong  4 5\n"


def test_what_fits(make_terminal):
    terminal = make_terminal(columns=30).terminal

    assert fits(terminal, ["a", "b"], [("x" * 500, "1")])
    assert not fits(terminal, ["a", "b"], [("x" * 500, "y" * 500)])
    assert fits(terminal, [], [])
