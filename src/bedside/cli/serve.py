"""``serve``, ``web`` and ``lab``: answers over HTTP, the offline app, phones that measure."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from bedside.cli import output
from bedside.cli.options import Run, Store, Trust
from bedside.core.errors import BadInput, MissingComponent


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
    _need("the server needs", ("fastapi", "uvicorn"), "Install it: pip install 'bedside[server]'.")
    from bedside.services.guard import Limits
    from bedside.services.rest import server

    token = server.read_token(token_file) if token_file is not None else None
    if token is None and host not in server.LOOPBACK:
        token = server.new_token()
        output.note(f"token: {token}")
    settings = server.Settings(
        host, port, token, tuple(allow_host or ()), tls_cert, tls_key, audit_log,
        Limits(upload_bytes=max_upload_mb * 1_000_000,
               held_bytes=max(48, max_upload_mb) * 1_000_000))
    server.serve(bundle or [], settings, queue=queue, timeout_s=timeout, threads=threads,
                  trust=tuple(trust or ()), store=store, say=output.note)


def web(
    bundles: Annotated[list[Path], typer.Argument(help="Bundles that the app opens.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    trust: Annotated[list[Path] | None, typer.Option(
        help="A public key (bedside.pub) that may sign; repeat for more.")] = None,
) -> None:
    """Write the offline web app with its bundles as a folder for any web server."""
    from bedside.services.app.export import export

    output.table("", ["bundle", "id", "signed"],
                 [[b.manifest.name, b.id, b.signer or "NO: anyone may have made it"]
                  for b in export(bundles, out, trust or [])])
    output.note(f"app: {out / 'index.html'} (serve the folder over https)")


def lab(
    run: Run,
    port: Annotated[int, typer.Option(help="Port for http; https takes the next.")] = 8320,
    address: Annotated[str | None, typer.Option(
        help="This machine's address in the network (default: found out).")] = None,
    share_images: Annotated[bool, typer.Option(
        "--share-images", help="Let evaluated images go, resized and nameless, to phones "
                               "whose holders agree.")] = False,
    http_only: Annotated[bool, typer.Option(
        "--http-only", help="No certificate: phones measure on one thread.")] = False,
    only: Annotated[str | None, typer.Option(help="Glob over variants.")] = None,
) -> None:
    """Measure a run's variants on phones in the same network."""
    _need("this command needs", ("fastapi", "uvicorn", "segno"),
          "Install the workbench: pip install 'bedside[workbench]'.")
    import segno

    from bedside.flows import protocol, study
    from bedside.services.lab import lab as labs
    from bedside.services.lab.plan import make_plan

    if not 1 <= port <= 65534:
        raise BadInput("not between 1 and 65534", where="--port", remedy="Choose another port.")
    plan = make_plan(run, share_images, only)
    if plan.cases:
        with study.locked(run):  # phones predict test images as evaluate does
            protocol.before_opening(run, study.load(run))
    served = labs.prepare(plan, port, address, http_only, hold=study.locked)
    segno.make(served.url, error="l").terminal(compact=True)
    for name, value in (("phones", served.url), ("this machine", served.workbench),
                        ("certificate", served.place.fingerprint or "none: plain http"),
                        ("images", _shared(len(plan.cases), plan.held_back)
                         if share_images else "none shared (--share-images)")):
        output.say(f"{name}: {value}")
    labs.serve(served)


def _need(who: str, packages: tuple[str, ...], remedy: str) -> None:
    missing = [n for n in packages if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"{who} {', '.join(missing)}, not installed here", remedy=remedy)


def _shared(count: int, held_back: int) -> str:
    more = (f"; {held_back} with text in their pixels stay here (bedside import cleans them)"
            if held_back else "")
    return f"{count} shared where the holder agrees{more}"
