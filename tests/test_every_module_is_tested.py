"""Every module of the source is imported by some test, or listed here with what covers it."""

from __future__ import annotations

import ast

from paths import ROOT

HOUSE = ROOT / "src" / "bedside"

# Module: what runs it, where no test imports it by itself.
COVERED_OTHERWISE: dict[str, str] = {}


def _modules() -> set[str]:
    return {".".join(("bedside", *p.relative_to(HOUSE).with_suffix("").parts))
            for p in HOUSE.rglob("*.py") if p.name != "__init__.py"}


def _imported() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
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
