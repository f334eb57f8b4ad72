"""The commands of the web app and the device lab. Parsing is in ``cli_app.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bedside import console
from bedside.errors import BadInput, MissingComponent


def web(bundles: list[Path], out: Path, trust: list[Path] | None) -> None:
    """``bedside web``."""
    from bedside.deploy import web as stage

    opened = stage.export(bundles, out, trust or [])
    console.table("", ["bundle", "id", "signed"],
                  [[b.manifest.name, b.id, b.signer or "NO: anyone may have made it"]
                   for b in opened])
    console.stderr.print(f"app: {out / 'index.html'} (serve the folder over https)",
                         soft_wrap=True, markup=False)


def lab(run: Path, port: int, address: str | None, share_images: bool, http_only: bool,
        only: str | None) -> None:
    """``bedside lab``."""
    missing = [n for n in ("fastapi", "uvicorn", "segno") if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"this command needs {', '.join(missing)}, not installed here",
                               remedy="Install the workbench: pip install 'bedside[workbench]'.")
    import segno

    from bedside import study
    from bedside.deploy import lab as stage
    from bedside.deploy.lab_plan import make_plan

    if not 1 <= port <= 65534:
        raise BadInput("not between 1 and 65534", where="--port", remedy="Choose another port.")
    plan = make_plan(run, share_images, only)
    served = stage.prepare(plan, port, address, http_only, hold=study.locked)
    segno.make(served.url, error="l").terminal(compact=True)
    for name, value in (("phones", served.url), ("this machine", served.workbench),
                        ("certificate", served.place.fingerprint or "none: plain http"),
                        ("images", _shared(len(plan.cases), plan.held_back)
                         if share_images else "none shared (--share-images)")):
        console.stdout.print(f"{name}: {value}", soft_wrap=True, markup=False)
    stage.serve(served)


def _shared(count: int, held_back: int) -> str:
    kept = (f"; {held_back} with text in their pixels stay here (bedside import cleans them)"
            if held_back else "")
    return f"{count} shared where the holder agrees{kept}"
