"""Shared fixtures: the checkout, real data where it lies beside it, tiny models and images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT, SHARED
from tiny import write_tiny_data, write_untrained

# Files that take more than a few seconds: `make quick` leaves them out.
SLOW = frozenset("tests/" + name for name in (
    "cli/test_targets.py", "contract/test_foreign_models.py", "deid/test_answer_key.py",
    "deid/test_batch.py",
    "deid/test_importing.py", "deid/test_private_folder.py", "figures/test_cam.py",
    "figures/test_causes.py", "figures/test_clipping.py", "figures/test_fidelity.py",
    "figures/test_flips.py", "figures/test_least_similar.py", "figures/test_lesion_chance.py",
    "figures/test_processors.py", "flows/search/test_budget.py",
    "flows/search/test_calibration_study.py", "flows/test_leakage.py", "metrics/test_compare.py",
    "metrics/test_paired.py", "models/test_redundant_relu.py", "readers/test_sandbox.py",
    "runtime/test_device.py", "runtime/test_engine.py", "runtime/test_store.py",
    "schemes/test_interventions.py",
    "services/lab/test_session.py", "services/rest/test_server.py",
    "stages/data/duplicates/test_near.py", "stages/data/duplicates/test_thresholds.py",
    "stages/evaluate/test_cell.py",
    "stages/evaluate/test_stage.py", "stages/finetune/test_stage.py",
    "stages/report/test_protocol_view.py", "stages/test_convert.py",
    "stages/test_transform.py", "stages/train/test_stage.py", "synthetic/test_phantom.py"))

# Rooms in which nearly every file is slow.
SLOW_ROOMS = ("tests/card/", "tests/deid/text/", "tests/stages/bundle/", "tests/targets/")

# Files that train networks: on one worker, since two at once wait for each other's threads.
TRAINS = frozenset("tests/" + name for name in (
    "flows/test_leakage.py", "integration/test_choice.py", "integration/test_killed_training.py",
    "integration/test_resume.py", "integration/test_shown.py", "integration/test_studies.py",
    "stages/finetune/test_stage.py", "stages/train/test_stage.py"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow, and keep training on one worker."""
    for item in items:
        file = item.path.relative_to(ROOT).as_posix()
        if file in SLOW or file.startswith(SLOW_ROOMS):
            item.add_marker(pytest.mark.slow)
        if file in TRAINS or "+qat" in item.name:
            item.add_marker(pytest.mark.xdist_group("training"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where every component is installed, a skipped test is a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where no test may: {report.longrepr}"


@pytest.fixture(scope="session")
def checkout() -> Path:
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def compiled_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests leave nothing in the user's cache and find nothing there."""
    os.environ["BEDSIDE_CACHE"] = str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def tiny_quantized(tiny_run: Path) -> Path:
    """The tiny run with the variants float32, float16, dynamic and int8."""
    from bedside import schemes
    from bedside.core.study import CalibrationConfig
    from bedside.stages import calibrate, quantize

    folder = calibrate.calibrate(tiny_run, "resnet34", CalibrationConfig(images=8), None)
    for scheme in ("float32", "float16", "dynamic"):
        quantize.quantize(tiny_run, "resnet34", schemes.parse(scheme), None, None)
    quantize.quantize(tiny_run, "resnet34", schemes.parse("int8"), folder,
                      calibrate.read_ranges(folder))
    return tiny_run


@pytest.fixture(scope="session")
def busi() -> Path:
    folder = SHARED / "data" / "busi"
    if not folder.is_dir():
        pytest.skip("the BUSI images are not beside this checkout (shared/data/busi)")
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted ResNet34 of an eighth of the width in a run with 40 tiny images."""
    from bedside.core.study import ModelConfig
    from bedside.stages.convert import convert

    run = tmp_path_factory.mktemp("tiny") / "run"
    write_tiny_data(run)
    model = write_untrained(run, ModelConfig("resnet34", image_px=32, width=0.125))
    assert convert(run, model)
    return run
