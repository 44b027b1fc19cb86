"""A progress bar for work that is counted, on standard error and on terminals only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lash_host.cli.terminal import Terminal, one_line

if TYPE_CHECKING:
    from rich.progress import TaskID

    from lash_host.contracts.maintenance import Progress

__all__ = ["progressing"]


@contextmanager
def progressing(terminal: Terminal) -> Iterator[Progress | None]:
    """Give what shows how far the body's work is; None where standard error is no terminal. No line stays of it."""
    if not terminal.err_is_terminal:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=terminal.err, no_color=not terminal.err_has_colour, highlight=False)
    text = TextColumn("{task.description}", markup=False)
    with Progress(
        text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[what] = bar.add_task(one_line(what), total=max(total, 1))
            bar.update(tasks[what], completed=done if total else 1, total=max(total, 1))

        yield show
