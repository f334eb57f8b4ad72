"""The program: its commands in the order of ``--help``, and an exit code for every failure."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bedside import __version__
from bedside.cli import data, decide, deid, device, output, predict, quantize, run, serve, show
from bedside.cli import targets as target_commands
from bedside.core.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_STOPPED, BedsideError
from bedside.runtime.files import disk_fault

# The groups under which ``bedside --help`` lists the commands, in reading order.
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "Start here": (run.run, run.demo, target_commands.doctor, show.list_, show.show),
    "Data": (deid.import_, deid.review, deid.deid, data.audit, data.split, data.leakage),
    "One stage at a time": (run.train, run.convert, run.quantize, run.build, run.evaluate,
                            run.analyse, run.report),
    "Look closer": (quantize.calibrate, quantize.search, target_commands.bench,
                    target_commands.lint),
    "Decide": (decide.recommend, decide.gate, decide.diff, decide.card),
    "To the device": (device.keygen, device.bundle, device.verify, device.install,
                      device.installed, predict.predict, serve.serve, serve.web, serve.lab),
}

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="From labelled medical images to a quantized CNN shown to be safe and fast on the "
         "device that will run it. Research software, not a medical device.")


def _version(value: bool) -> None:
    if value:
        print(f"bedside {__version__}")
        raise typer.Exit


@app.callback()
def _main(version: Annotated[bool, typer.Option(
        "--version", callback=_version, is_eager=True, help="Print the version.")] = False
          ) -> None:
    del version


for _panel, _commands in GROUPS.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel)(_command)


def main(argv: list[str] | None = None) -> None:
    """Run the command line; every failure is one line and an exit code of the contract."""
    sys.exit(guarded(argv))


def guarded(argv: list[str] | None) -> int:
    """Run one command and return its exit code; the fault, if any, goes to standard error."""
    try:
        result: Any = app(argv, standalone_mode=False)
        # Here, as at the interpreter's end a reader that has gone is exit code 120.
        sys.stdout.flush()
    except BedsideError as error:
        output.fault(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as stop:
        # What click and Rich make of a pipe whose reader has gone; 1 means a failed gate.
        if isinstance(stop.__context__, BrokenPipeError):
            return _reader_gone()
        raise
    except Exception as error:
        return _unexpected(error)
    # Typer makes an exit code of Ctrl-C.
    if result == EXIT_STOPPED:
        return _stopped()
    return result if isinstance(result, int) else 0


def _stopped() -> int:
    output.fault("stopped; run the same command again to continue where it was.")
    return EXIT_STOPPED


def _reader_gone() -> int:
    """Nobody reads standard output any longer, as after ``head``: no fault of the command's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _unexpected(error: Exception) -> int:
    """Return the exit code of a usage error, a fault of the output disk, or a bug."""
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        return _stopped()
    if hasattr(error, "format_message"):
        # Typer's usage errors, whichever click they come from (its own or the package).
        if type(error).__name__ != "NoArgsIsHelpError":
            output.fault(f"{error.format_message().rstrip('.')}. See bedside --help.")
        return EXIT_BAD_INPUT
    if isinstance(error, OSError):
        known = disk_fault(error, error.filename or "output")
        if known is not None:
            output.fault(known.message)
            return known.exit_code
    if os.environ.get("BEDSIDE_DEBUG"):
        traceback.print_exception(error)
    output.fault(f"this is a bug in bedside ({type(error).__name__}). "
                 "Set BEDSIDE_DEBUG=1 and run again to see where, and please report it.")
    return EXIT_BUG
