"""Errors with the exit codes of the contract and a remedy in every message."""

from __future__ import annotations

from pathlib import Path

EXIT_OK = 0
EXIT_GATE = 1
EXIT_BAD_INPUT = 2
EXIT_MISSING = 3
EXIT_BUG = 70
EXIT_STOPPED = 130


class BedsideError(Exception):
    """An expected failure: one message that names the place, the fault and the remedy.

    Args:
        fault: what is wrong, a clause without a closing full stop.
        where: the file, flag or configuration key at fault.
        remedy: what the user can do about it.
    """

    exit_code = EXIT_BUG

    def __init__(
        self, fault: str, *, where: str | Path | None = None, remedy: str | None = None
    ) -> None:
        self.fault = fault
        self.where = str(where) if where is not None else None
        self.remedy = remedy
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """Return the whole message on one line."""
        head = f"{self.where}: {self.fault}" if self.where else self.fault
        text = f"{head}. {self.remedy}" if self.remedy else head
        return " ".join(text.split())

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default pickling between worker processes.
        return (_rebuild, (type(self), self.fault, self.where, self.remedy))


def _rebuild(
    cls: type[BedsideError], fault: str, where: str | None, remedy: str | None
) -> BedsideError:
    return cls(fault, where=where, remedy=remedy)


class GateFailed(BedsideError):
    """A check that the study asked for did not hold (audit, parity, self-test, verify)."""

    exit_code = EXIT_GATE


class BadInput(BedsideError):
    """Input or usage that cannot work."""

    exit_code = EXIT_BAD_INPUT


class Unquantizable(BadInput):
    """A model that one scheme cannot be applied to: in a study a failed row with the reason."""


class Unsupported(BedsideError):
    """A target cannot run this variant: a row of the results with the reason, not a failure."""

    exit_code = EXIT_BAD_INPUT


class MissingComponent(BedsideError):
    """Something that was asked for is not installed on this machine."""

    exit_code = EXIT_MISSING
