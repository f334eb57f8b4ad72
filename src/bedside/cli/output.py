"""Output of the command line: progress with time left, tables, JSON, one line for an error."""

from __future__ import annotations

import sys
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from bedside.core.text import duration

if TYPE_CHECKING:

    from rich.console import Console
    from rich.progress import Progress, TaskID

_PLAIN_EVERY_S = 10.0


@cache
def console(stderr: bool = False) -> Console:
    """Return the console of standard output or standard error; Rich is loaded at the first use."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


class Reporter:
    """Progress for the stages: a bar a stage on a terminal, plain lines elsewhere.

    Call it with (stage, done, total[, detail]). Everything goes to standard error, so that
    ``--json`` leaves one document on standard output.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._last_line: dict[str, float] = {}

    def __enter__(self) -> Self:
        if console(stderr=True).is_terminal and not self._quiet:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._bars = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(),
                TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                TextColumn("{task.fields[detail]}"), console=console(stderr=True))
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Report that ``done`` of ``total`` units of ``stage`` are done."""
        if self._quiet:
            return
        if self._bars is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total, detail=detail)
            self._bars.update(self._tasks[stage], completed=done, total=total, detail=detail)
            return
        now = time.monotonic()
        start = self._started.setdefault(stage, now)
        if done < total and now - self._last_line.get(stage, 0.0) < _PLAIN_EVERY_S:
            return
        self._last_line[stage] = now
        left = (now - start) / done * (total - done) if done else 0.0
        rest = f", {duration(left)} left" if 0 < done < total and left >= 1 else ""
        print(" ".join(f"{stage} {done}/{total}{rest} {detail}".split()), file=sys.stderr,
              flush=True)

    def note(self, text: str) -> None:
        """Print one remark."""
        if not self._quiet:
            note(text)


def table(title: str, columns: list[str], rows: list[list[str]], numeric: set[int] | None = None
          ) -> None:
    """Print a readable table on standard output; nothing in a cell is taken as markup."""
    from rich.table import Table
    from rich.text import Text

    view = Table(title=title or None, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        view.add_column(name, justify="right" if numeric and i in numeric else "left",
                        overflow="fold")
    for row in rows:
        view.add_row(*[Text(cell) for cell in row])
    console().print(view)


def say(text: str) -> None:
    """Print a result on standard output; nothing in it is taken as markup."""
    console().print(text, soft_wrap=True, markup=False)


def note(text: str) -> None:
    """Print a remark on standard error; nothing in it is taken as markup."""
    console(stderr=True).print(text, soft_wrap=True, markup=False)


def print_json(value: Any) -> None:
    """Print one JSON document on standard output."""
    from bedside.core import codec

    print(codec.to_json(value), end="")


def fault(message: str) -> None:
    """Print one line for an error."""
    print(f"bedside: {message}", file=sys.stderr, flush=True)
