"""``keygen``, ``bundle``, ``verify``, ``install`` and ``installed``: bundles and their keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bedside.cli import output
from bedside.cli.options import Json, Run, Store, Trust
from bedside.cli.output import Reporter
from bedside.core.errors import BadInput

if TYPE_CHECKING:
    from bedside.runtime.bundle.reader import Bundle

File = Annotated[Path, typer.Argument(help="A bundle.", metavar="FILE")]


def keygen(out: Annotated[Path, typer.Option(help="The folder for the two keys.")] = Path(),
           json: Json = False) -> None:
    """Make a pair of keys: bedside.key signs bundles, bedside.pub verifies them."""
    from bedside.runtime.bundle import signing

    private, public, name = signing.keygen(out)
    if json:
        output.print_json({"schema": 1, "private": str(private), "public": str(public),
                           "fingerprint": name})
        return
    output.say(f"{private}: signs; keep it secret, and keep a copy")
    output.say(f"{public}: give it to whoever verifies; fingerprint {name}")


def bundle(
    run: Run,
    target: Annotated[str, typer.Option(help="The target it is for.")],
    out: Annotated[Path, typer.Option(help="The bundle's file.")],
    variant: Annotated[str | None, typer.Option(
        help="This variant instead of the recommended one.")] = None,
    key: Annotated[Path | None, typer.Option(
        help="Sign with this private key (bedside.key); without it: unsigned.")] = None,
    against: Annotated[Path | None, typer.Option(
        help="The bundle before this one, for the change record.")] = None,
    against_run: Annotated[Path | None, typer.Option(
        help="The run that one came from, for the paired test (default: this run).")] = None,
    licence: Annotated[Path | None, typer.Option(
        help="A text file with the licence of the weights.")] = None,
    below_floor: Annotated[bool, typer.Option(
        "--below-floor", help="Pack a model that the study's floors refuse; the bundle, the server "
                              "and the app then say so.")] = False,
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write one build, with all it takes to answer, as one signed file."""
    from bedside.flows import gate, study
    from bedside.runfolder import layout
    from bedside.runtime.bundle import signing
    from bedside.runtime.bundle.reader import keys, open_bundle
    from bedside.runtime.files import write_bytes
    from bedside.stages.bundle import build

    if against_run is not None and against is None:
        raise BadInput("without --against", where="--against-run",
                       remedy="Give the previous bundle with --against.")
    previous = None
    if against is not None:
        own = {signing.public_of(key)} if key is not None else set()
        previous = open_bundle(against, keys(trust or ()) | own, allow_unsigned=not trust)
    if variant is None and (run / layout.RECOMMENDATION).is_file():
        gate.current(run, study.load(run))  # what an older one chose is not offered
    with Reporter() as progress:
        data, made = build.make(run, target, variant, key=key, against=previous,
                                against_run=against_run, licence=licence, below_floor=below_floor,
                                progress=progress)
    write_bytes(out, data)
    _print_bundle(made, json, {"file": str(out)})


def verify(file: File, trust: Trust = None, store: Store = None, json: Json = False) -> None:
    """Check a bundle bit for bit, its signature and its signer; exit 1 where one fails."""
    from bedside.runtime import store as stores

    verified = stores.open_trusted(file, store or stores.default_store(), tuple(trust or ()))
    _print_bundle(verified, json, {"verified": True})


def install(file: File, trust: Trust = None, store: Store = None, json: Json = False) -> None:
    """Verify a bundle, self-test it on this device, keep it and make it the active one."""
    from bedside.runtime import store as stores
    from bedside.runtime.bundle.reader import read_bytes
    from bedside.runtime.device import Device

    folder = store or stores.default_store()
    data = read_bytes(file)
    verified = stores.open_trusted(data, folder, tuple(trust or ()), str(file))
    with Device(verified) as device:
        test = device.test
    stores.keep(folder, verified, data, tuple(trust or ()))
    _print_bundle(verified, json, {"self_test": (
        test if json else f"{test.vectors} vectors on {test.architecture}, largest difference "
        f"{test.largest_difference:.3g} of {test.tolerance:.3g} allowed")})


def installed(
    activate: Annotated[str | None, typer.Option(
        help="Switch to this installed bundle (its id, or the beginning of it).")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """List the installed bundles, and switch between them."""
    from bedside.runtime import store as stores

    folder = store or stores.default_store()
    if activate is not None:
        path = stores.find(folder, activate)
        stores.activate(folder, stores.open_trusted(path, folder).id)
    ids, active = stores.installed(folder)
    if json:
        output.print_json({"schema": 1, "store": str(folder), "active": active, "bundles": ids})
    elif ids:
        output.table("", ["bundle", ""], [[i, "active" if i == active else ""] for i in ids])
    else:
        output.say(f"no bundle is installed in {folder}")


def _print_bundle(bundle: Bundle, json: bool, more: dict[str, Any]) -> None:
    from bedside.runtime.bundle.manifest import NOT_FOR_USE, NOTICE

    manifest, point = bundle.manifest, bundle.manifest.operating_point
    if manifest.below_floor:
        output.note(f"{NOT_FOR_USE}: {'; '.join(manifest.below_floor)}.")
    if json:
        output.print_json({
            "schema": 1, "id": bundle.id, "name": manifest.name,
            "signed": bundle.signer is not None, "signer": bundle.signer,
            "sha256": bundle.digest, "size_bytes": bundle.size_bytes,
            "task": manifest.task, "operating_point": point,
            "below_floor": manifest.below_floor, "notice": NOTICE, **more})
        return
    rows = [["id", bundle.id], ["build", manifest.name], ["signature", bundle.signed],
            ["classes", ", ".join(manifest.task.classes)],
            ["decision", point.rule + (f" (threshold {point.threshold:.3f})"
                                       if point.threshold is not None else "")],
            ["MB", f"{bundle.size_bytes / 1e6:.2f}"], *([k, str(v)] for k, v in more.items())]
    output.table("", ["", ""], rows)
    if bundle.signer is None:
        output.note(f"{bundle.where}: {bundle.signed}")
