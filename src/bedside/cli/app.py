"""The program: its commands in the order of ``--help``, and an exit code for every failure."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bedside import __version__
from bedside.cli import output
from bedside.core.errors import EXIT_BAD_INPUT, EXIT_BUG, EXIT_STOPPED, BedsideError
from bedside.core.registry import resolve

# The groups under which ``bedside --help`` lists the commands, in reading order: command to
# "module:function" (of a group of commands its Typer), imported when the command is asked for.
GROUPS: dict[str, dict[str, str]] = {
    "Start here": {
        "run": "bedside.cli.run:run",
        "demo": "bedside.cli.run:demo",
        "doctor": "bedside.cli.targets:doctor",
        "list": "bedside.cli.show:list_",
        "show": "bedside.cli.show:show",
    },
    "Data": {
        "inspect": "bedside.cli.foreign:inspect",
        "import": "bedside.cli.deid:import_",
        "import-model": "bedside.cli.foreign:import_model",
        "review": "bedside.cli.deid:review",
        "deid": "bedside.cli.deid:deid",
        "audit": "bedside.cli.data:audit",
        "split": "bedside.cli.data:split",
        "leakage": "bedside.cli.data:leakage",
    },
    "One stage at a time": {
        "train": "bedside.cli.run:train",
        "convert": "bedside.cli.run:convert",
        "quantize": "bedside.cli.run:quantize",
        "build": "bedside.cli.run:build",
        "evaluate": "bedside.cli.run:evaluate",
        "analyse": "bedside.cli.run:analyse",
        "report": "bedside.cli.run:report",
    },
    "Look closer": {
        "calibrate": "bedside.cli.quantize:calibrate",
        "search": "bedside.cli.quantize:search",
        "bench": "bedside.cli.targets:bench",
        "lint": "bedside.cli.targets:lint",
    },
    "Decide": {
        "plan-study": "bedside.cli.plan:plan_study",
        "protocol": "bedside.cli.protocol:protocol",
        "recommend": "bedside.cli.decide:recommend",
        "gate": "bedside.cli.decide:gate",
        "diff": "bedside.cli.decide:diff",
        "card": "bedside.cli.decide:card",
    },
    "To the device": {
        "keygen": "bedside.cli.device:keygen",
        "bundle": "bedside.cli.device:bundle",
        "verify": "bedside.cli.device:verify",
        "install": "bedside.cli.device:install",
        "installed": "bedside.cli.device:installed",
        "export": "bedside.cli.export:export",
        "predict": "bedside.cli.predict:predict",
        "serve": "bedside.cli.serve:serve",
        "web": "bedside.cli.serve:web",
        "lab": "bedside.cli.serve:lab",
    },
}
PANELS = {name: panel for panel, commands in GROUPS.items() for name in commands}


@cache
def command(name: str) -> Any:
    """Import and return one command, as Typer builds it from its function, or a group of them."""
    panel = PANELS[name]
    found = resolve(GROUPS[panel][name])
    if isinstance(found, typer.Typer):
        group: Any = typer.main.get_command(found)
        group.name, group.rich_help_panel = name, panel
        return group
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, rich_help_panel=panel)(found)
    return typer.main.get_command(alone)


class _Commands(TyperGroup):
    """The commands of :data:`GROUPS`; one that is not asked for is not imported."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Their names, for "did you mean".
        self.commands = dict.fromkeys(PANELS)  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every name, in reading order."""
        return list(PANELS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one command, or None where there is none of this name."""
        return command(cmd_name) if cmd_name in PANELS else None


app = typer.Typer(
    cls=_Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
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
        from bedside.runtime.files import disk_fault

        known = disk_fault(error, error.filename or "output")
        if known is not None:
            output.fault(known.message)
            return known.exit_code
    if os.environ.get("BEDSIDE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    output.fault(f"this is a bug in bedside ({type(error).__name__}). "
                 "Set BEDSIDE_DEBUG=1 and run again to see where, and please report it.")
    return EXIT_BUG
