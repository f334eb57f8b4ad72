"""DESIGN's import rule, read off the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "bedside"

BASE = ("errors", "types", "study_types", "build_types", "evidence_types", "recommend_types",
        "registry", "codec")
STAGES = ("train", "convert", "calibrate", "improve", "quantize", "build", "evaluate",
          "evidence", "analysis", "finetune",
          "recommend", "report", "deploy")
PLUGINS = ("models", "schemes", "targets", "metrics", "analyse", "data.readers",
            "report.figures", "estimators", "choices", "card")
ORCHESTRATORS = ("study", "study_check", "releases", "gate", "search", "bench", "variants",
                 "config", "plan", "examine", "leakage")
FRONT = ("console", "commands", "data_commands", "cli_options", "cli_audit", "cli_help",
         "import_commands", "cli_import", "target_commands", "bench_commands", "cli_targets",
         "quant_commands", "cli_quant", "device_commands", "serve_commands", "cli_device",
         "app_commands", "cli_app", "card_commands", "cli_card", "choice_commands",
         "cli_choice", "cli", "__main__")
TORCH_ROOMS = ("train", "convert", "models", "finetune")
HEAVY = ("torch", "monai", "litert_torch", "litert_quantizer", "safetensors")
ONE_FILE = ("litert_quantizer", "litert_torch", "optuna", "onnxruntime", "openvino", "nncf",
            "ethosu", "rapidocr")


def _modules() -> dict[str, Path]:
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p
            for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py"}


MODULES = _modules()


def _below(name: str, rooms: tuple[str, ...]) -> bool:
    return any(name == r or name.startswith(r + ".") for r in rooms)


def layer(name: str) -> int:
    """The height of a module in the house; a module imports from its own height or below."""
    if _below(name, BASE):
        return 0
    if _below(name, ("runtime",)):
        return 1
    if _below(name, ("artefact", "rundir", "case_table", "predictions")):
        return 2
    if _below(name, PLUGINS):
        return 3
    if _below(name, (*STAGES, "data", *TRAIN_SIDE, *EVALUATE_SIDE, *RECOMMEND_SIDE)):
        return 4
    if _below(name, ORCHESTRATORS):
        return 5
    assert _below(name, FRONT), f"{name} has no place in the house: add it to the import rule"
    return 6


# Files that only the train stage uses.
TRAIN_SIDE = ("augment", "tune", "checkpoint", "crossfit")
# Files that only the evaluate stage uses.
EVALUATE_SIDE = ("cell",)


# Files of the stage recommend beside its rule.
RECOMMEND_SIDE = ("recommend_words", "recommend_stage")


def _stage(name: str) -> str:
    first = name.split(".")[0]
    return ("train" if first in TRAIN_SIDE else "evaluate" if first in EVALUATE_SIDE else
            "recommend" if first in RECOMMEND_SIDE else first)


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = _top_level(tree) if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


def _top_level(tree: ast.Module):
    waiting = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(c for c in ast.iter_child_nodes(node) if isinstance(c, ast.stmt))


def _own(found: set[str]) -> set[str]:
    own = set()
    for name in found:
        if name.startswith("bedside."):
            short = name.removeprefix("bedside.")
            while short and short not in MODULES:
                short = short.rpartition(".")[0]
            if short:
                own.add(short)
    return own


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_import_downwards(name):
    height = layer(name)
    for other in _own(imports(MODULES[name])):
        assert layer(other) <= height, f"{name} imports {other}, which lies above it"
        if height == layer(other) == 4:
            assert _stage(name) == _stage(other), f"stage {name} imports stage {other}"


@pytest.mark.parametrize("name", sorted(n for n in MODULES if not _below(
    n, (*TORCH_ROOMS, *TRAIN_SIDE))))
def test_torch_and_the_converters_are_imported_late(name):
    found = imports(MODULES[name], top_level_only=True)
    assert not {f for f in found if f.split(".")[0] in HEAVY}


@pytest.mark.parametrize("package", ONE_FILE)
def test_each_third_party_engine_is_imported_in_one_file(package):
    users = {n for n, p in MODULES.items()
             if any(f.split(".")[0] == package for f in imports(p))}
    assert len(users) <= 1, users


def test_the_runtime_needs_no_workbench_package():
    allowed = {"bedside", "numpy", "PIL", "ai_edge_litert", "cryptography", "tomli_w"}
    import sys

    for name, path in MODULES.items():
        if layer(name) <= 2:
            third = {f.split(".")[0] for f in imports(path)} - set(sys.stdlib_module_names)
            assert third <= allowed, f"{name}: {third - allowed}"
