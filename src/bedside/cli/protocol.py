"""``protocol lock | show | verify``: what stands before the test set is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bedside.cli import output
from bedside.cli.options import Json, Run
from bedside.core.errors import GateFailed

protocol = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
    help="Margins, rules and planned comparisons, locked before the test set is opened.")


@protocol.command()
def lock(
    run: Run,
    key: Annotated[Path | None, typer.Option(
        help="Sign it with this private key (bedside.key).", metavar="FILE")] = None,
    again: Annotated[bool, typer.Option(
        "--again", help="Amend a locked protocol; only before the test set is opened.")] = False,
    json: Json = False,
) -> None:
    """Lock a run's protocol by hand, before bedside run does it."""
    from bedside.flows import protocol as flow
    from bedside.flows import study

    config = study.load(run)
    with study.locked(run):
        made = flow.lock(run, config, key, again)
    if json:
        output.print_json(made)
        return
    output.say(f"{'locked' if made.written else 'locked already, and unchanged'}: SHA-256 "
               f"{made.sha256}" + (f", signed by key {made.signer}" if made.signer else ""))
    if made.written:
        output.note("Deposit this hash where you cannot change it (a registry, a dated e-mail): it "
                    "then proves what stood before the test set was opened.")


@protocol.command()
def show(run: Run, json: Json = False) -> None:
    """Show a run's protocol, its ledger, and where the run stands."""
    from bedside.core import codec
    from bedside.flows import protocol as flow
    from bedside.flows import study

    found = flow.show(run, study.load(run))
    if json:
        output.print_json(found)
        return
    output.say(f"{found.standing.sentence}.")
    for text in found.standing.notes:
        output.say(f"Note: {text}.")
    plain: dict[str, Any] = codec.encode(found.protocol)
    planned = plain.pop("planned")
    rows = [[k, ", ".join(v) if isinstance(v, list) else "none" if v is None else str(v)]
            for k, v in codec.flat(plain).items() if v not in ({}, [])]
    output.table("Protocol", ["setting", "value"],
                 [*rows, *([f"planned {i}", cell] for i, cell in enumerate(planned, 1))])
    output.table("Ledger", ["line", "time (UTC)", "kind", "what"],
                 [[str(e.number), e.time, e.kind, flow.told(e)] for e in found.ledger], {0})


@protocol.command()
def verify(
    run: Run,
    trust: Annotated[Path | None, typer.Option(
        help="The public key (bedside.pub) that must have signed it.", metavar="PUBKEY")] = None,
    json: Json = False,
) -> None:
    """Check protocol, ledger and signature, and that the run matches; exit 1 where it differs."""
    from bedside.core.protocol import value_text
    from bedside.flows import protocol as flow
    from bedside.flows import study

    found = flow.verify(run, study.load(run), trust)
    if json:
        output.print_json(found)
    else:
        output.table("", ["result", "check", "detail"],
                     [[c.result, c.check, c.detail] for c in found.checks])
        if found.changes:
            output.table("Differs from the protocol", ["setting", "protocol", "run", "target"],
                         [[c.key, value_text(c.before), value_text(c.after), c.target or "all"]
                          for c in found.changes])
    failed = [c for c in found.checks if c.result == "fail"]
    if failed:
        raise GateFailed(f"{failed[0].check}: {failed[0].detail}", where=run,
                         remedy="See the checks above.")
