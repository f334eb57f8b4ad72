"""The commands of the web app and the device lab. Parsing is in ``cli_app.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bedside.cli import output
from bedside.core.errors import BadInput, MissingComponent


def web(bundles: list[Path], out: Path, trust: list[Path] | None) -> None:
    """``bedside web``."""
    from bedside.services.app import export as stage

    opened = stage.export(bundles, out, trust or [])
    output.table("", ["bundle", "id", "signed"],
                  [[b.manifest.name, b.id, b.signer or "NO: anyone may have made it"]
                   for b in opened])
    output.stderr.print(f"app: {out / 'index.html'} (serve the folder over https)",
                         soft_wrap=True, markup=False)


def lab(run: Path, port: int, address: str | None, share_images: bool, http_only: bool,
        only: str | None) -> None:
    """``bedside lab``."""
    missing = [n for n in ("fastapi", "uvicorn", "segno") if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"this command needs {', '.join(missing)}, not installed here",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    import segno

    from bedside.flows import study
    from bedside.services.lab import lab as stage
    from bedside.services.lab.plan import make_plan

    if not 1 <= port <= 65534:
        raise BadInput("not between 1 and 65534", where="--port", remedy="Choose another port.")
    plan = make_plan(run, share_images, only)
    served = stage.prepare(plan, port, address, http_only, hold=study.locked)
    segno.make(served.url, error="l").terminal(compact=True)
    for name, value in (("phones", served.url), ("this machine", served.workbench),
                        ("certificate", served.place.fingerprint or "none: plain http"),
                        ("images", _shared(len(plan.cases), plan.held_back)
                         if share_images else "none shared (--share-images)")):
        output.stdout.print(f"{name}: {value}", soft_wrap=True, markup=False)
    stage.serve(served)


def _shared(count: int, held_back: int) -> str:
    kept = (f"; {held_back} with text in their pixels stay here (bedside import cleans them)"
            if held_back else "")
    return f"{count} shared where the holder agrees{kept}"
