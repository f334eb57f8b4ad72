"""Every module of the source is imported by some test, or listed here with what covers it."""

from __future__ import annotations

import ast
from pathlib import Path

from paths import ROOT

from bedside.cli.app import GROUPS
from bedside.estimators import ESTIMATORS
from bedside.exports import FORMATS as EXPORTS
from bedside.figures import FIGURES
from bedside.metrics import METRICS
from bedside.models import MODELS
from bedside.readers import READERS
from bedside.schemes import SCHEMES
from bedside.selection import CHOICES
from bedside.targets import BACKENDS

HOUSE = ROOT / "src" / "bedside"

# Every entry of these is walked by tests/contract or, for commands, tests/docs.
TABLES = (*GROUPS.values(), ESTIMATORS, EXPORTS, FIGURES, METRICS, MODELS, READERS, SCHEMES,
          CHOICES, BACKENDS)

# Module: what runs it, where no test imports it by itself.
COVERED_OTHERWISE: dict[str, str] = {
    "bedside.card.compute.model": "card/fields.toml names its functions: tests/card/compute",
    "bedside.card.decisions": "card/fields.toml names its functions: tests/card/test_decisions.py",
    "bedside.core.leakage": "types that tests/flows/test_leakage.py reads",
    "bedside.core.progress": "a protocol, for mypy alone",
    "bedside.services.rest.application": "tests/services/rest/test_server.py asks it over HTTP",
}


def _modules() -> set[str]:
    return {".".join(("bedside", *p.relative_to(HOUSE).with_suffix("").parts))
            for p in HOUSE.rglob("*.py") if p.name != "__init__.py"}


def _imported() -> set[str]:
    names = {lazy.partition(":")[0] for table in TABLES for lazy in table.values()}
    for path in set((ROOT / "tests").rglob("*.py")) - {Path(__file__)}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {a.name for a in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # A module named in text: python -m, a patch, a lazy name.
                names.add(node.value.partition(":")[0])
                names |= {node.value.rsplit(".", n)[0] for n in (1, 2)}
    return names


def test_every_module_is_imported_by_a_test_or_listed():
    missing = _modules() - _imported()
    assert missing == set(COVERED_OTHERWISE), (
        f"no test imports {sorted(missing - set(COVERED_OTHERWISE))}; "
        f"no longer needed in the list: {sorted(set(COVERED_OTHERWISE) - missing)}")
