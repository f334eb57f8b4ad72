"""The commands of bundles and devices; see ``cli.py``. It parses, and calls one function each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bedside.cli.options import Json, Run

Trust = Annotated[list[Path] | None, typer.Option(
    help="A public key that may sign (bedside.pub), besides those of the store; repeatable.")]
Store = Annotated[Path | None, typer.Option(
    help="Where bundles are installed (default: BEDSIDE_STORE, or this user's data folder).")]
File = Annotated[Path, typer.Argument(help="A bundle.", metavar="FILE")]


def keygen(out: Annotated[Path, typer.Option(help="The folder for the two keys.")] = Path(),
           json: Json = False) -> None:
    """Make a pair of keys: bedside.key signs bundles, bedside.pub verifies them."""
    from bedside.cli import device

    device.keygen(out, json)


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
    trust: Trust = None,
    json: Json = False,
) -> None:
    """Write one build, with all it takes to answer, as one signed file."""
    from bedside.cli import device

    device.bundle(run, target, out, json, variant=variant, key=key, against=against,
                           against_run=against_run, licence=licence, trust=tuple(trust or ()))


def verify(file: File, trust: Trust = None, store: Store = None, json: Json = False) -> None:
    """Check a bundle bit for bit, its signature and its signer; exit 1 where one fails."""
    from bedside.cli import device

    device.verify(file, tuple(trust or ()), store, json)


def install(file: File, trust: Trust = None, store: Store = None, json: Json = False) -> None:
    """Verify a bundle, self-test it on this device, keep it and make it the active one."""
    from bedside.cli import device

    device.install(file, tuple(trust or ()), store, json)


def installed(
    activate: Annotated[str | None, typer.Option(
        help="Switch to this installed bundle (its id, or the beginning of it).")] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """List the installed bundles, and switch between them."""
    from bedside.cli import device

    device.installed(activate, store, json)


def predict(
    bundle: Annotated[Path, typer.Argument(
        help="A bundle (file, installed id or 'active'), or a folder under RUN/variants.")],
    images: Annotated[list[Path], typer.Argument(
        help="Images (PNG, JPEG, BMP, TIFF, DICOM), folders of them, or - for standard input.")],
    cam: Annotated[Path | None, typer.Option(
        help="Write each image with its class activation map as a PNG into this folder.")] = None,
    threads: Annotated[int | None, typer.Option(
        min=1, max=256, help="CPU threads (default: the bundle's, else 2).")] = None,
    trust: Trust = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Answer images on this device, after verification and self-test."""
    from bedside.cli import device

    device.predict(bundle, images, json, threads=threads, cam=cam,
                            trust=tuple(trust or ()), store=store)


def serve(
    bundle: Annotated[list[Path] | None, typer.Argument(
        help="Bundles (files or installed ids); the active one by default.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port.")] = 8000,
    token_file: Annotated[Path | None, typer.Option(
        help="A file with the token that requests must carry; beyond loopback one is made up "
             "and printed where this is missing.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(
        help="Another host name under which it may be asked, repeatable.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="A certificate (PEM), for HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key (PEM).")] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, max=200, help="Largest image.")] = 16,
    queue: Annotated[int, typer.Option(
        min=1, max=1000, help="How many requests may wait before others are sent away.")] = 8,
    timeout: Annotated[float, typer.Option(
        min=0.1, max=600, help="Seconds that one inference may take.")] = 30.0,
    audit_log: Annotated[Path | None, typer.Option(
        help="Append one line a request; no patient data.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="CPU threads.")] = None,
    trust: Trust = None,
    store: Store = None,
) -> None:
    """Answer images over HTTP, on this machine unless told otherwise."""
    from bedside.cli import serve as serve_commands

    serve_commands.serve(
        bundle or [], host=host, port=port, token_file=token_file,
        allow_host=tuple(allow_host or ()), tls_cert=tls_cert, tls_key=tls_key,
        max_upload_mb=max_upload_mb, queue=queue, timeout_s=timeout, audit_log=audit_log,
        threads=threads, trust=tuple(trust or ()), store=store)


def register(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (keygen, bundle, verify, install, installed, predict, serve):
        app.command()(command)
