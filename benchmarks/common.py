"""What the proof scripts share: where real data lies, and how a figure is saved."""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROOF = ROOT / "docs" / "proof"
RUNS = ROOT / "runs" / "proof"
BUSI = ROOT.parent / "shared" / "data" / "busi"


def need_busi() -> Path:
    """The BUSI folder, or an explanation on how to get there."""
    if not BUSI.is_dir():
        sys.exit(f"{BUSI.relative_to(ROOT.parent)}: the BUSI images are not beside the checkout")
    return BUSI


def processor() -> str:
    """The processor's name, for the record."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def save(name: str, facts: dict[str, Any]) -> None:
    """Write one figure to docs/proof/<name>.json and print it."""
    PROOF.mkdir(parents=True, exist_ok=True)
    document = {"date": time.strftime("%Y-%m-%d"), "processor": processor(), **facts}
    text = json.dumps(document, indent=1) + "\n"
    (PROOF / f"{name}.json").write_text(text)
    print(text, end="")


def positional() -> list[str]:
    """Arguments before ``--save NAME``."""
    words = sys.argv[1:]
    return words[:words.index("--save")] if "--save" in words else words


def finish(facts: dict[str, Any]) -> None:
    """Print the figure, or save it under the name that follows ``--save``."""
    if "--save" in sys.argv:
        save(sys.argv[sys.argv.index("--save") + 1], facts)
    else:
        print(json.dumps(facts, indent=1))
