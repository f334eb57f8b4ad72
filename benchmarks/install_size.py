"""What `pip install bedside` takes without extras: the wheel in a clean environment.

    python benchmarks/install_size.py [--save install-size]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from common import ROOT, finish

from bedside.services.app import files

OWN = ("pip", "setuptools")


def main() -> None:
    """Build, install, add up, print (or save)."""
    files.app_dir()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", place, ROOT],
                       check=True, stdout=subprocess.DEVNULL)
        (wheel,) = place.glob("*.whl")
        venv.create(place / "venv", with_pip=True)
        subprocess.run([place / "venv/bin/pip", "install", "-q", "--no-compile", "-c",
                        ROOT / "constraints.txt", wheel], check=True)
        site = next((place / "venv/lib").glob("python*/site-packages"))
        sizes: dict[str, int] = {}
        for path in site.rglob("*"):
            first = path.relative_to(site).parts[0].split("-")[0]
            if path.is_file() and not path.is_symlink() and first not in OWN:
                sizes[first] = sizes.get(first, 0) + path.stat().st_size
        largest = dict(sorted(sizes.items(), key=lambda kv: -kv[1])[:8])
        finish({"what": "installed size without extras (Python itself and pip not counted)",
                "megabytes": round(sum(sizes.values()) / 1e6, 1),
                "largest_megabytes": {k: round(v / 1e6, 1) for k, v in largest.items()},
                "wheel_megabytes": round(wheel.stat().st_size / 1e6, 1), "goal_megabytes": 220})


if __name__ == "__main__":
    main()
