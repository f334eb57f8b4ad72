"""The flow of ``audit`` and ``split``: the data stage, and a page about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.audit import Audit
from bedside.core.errors import GateFailed
from bedside.core.progress import Progress
from bedside.core.study import Study
from bedside.flows import study
from bedside.runfolder import artefact, layout
from bedside.runfolder.cases import read_cases

AUDIT_DIR = "audit"


def audit_run(run: Path, progress: Progress | None = None) -> Path:
    """Audit a run's data and write ``RUN/audit/index.html``; reads the data where needed.

    Returns:
        The folder that holds ``cases.csv`` and ``audit.json``.

    Raises:
        BadInput: no run, or its data set is gone.
        GateFailed: the given split separates groups; ``run`` would stop there too.
    """
    config = study.load(run)
    with study.locked(run):
        try:
            study.prepare(run, config, progress)
        except GateFailed:
            # The page says why; the cases that it is about stay out of RUN/data.
            return _audited(run, config, progress)
        folder = layout.data_dir(run)
        _page(run, folder, None)
        return folder


def audit_dataset(out: Path, config: Study, progress: Progress | None = None) -> Path:
    """Audit a data set into ``OUT/audit``: cases, ``audit.json`` and the page.

    Returns:
        The folder.

    Raises:
        BadInput: see the data stage.
        GateFailed: the given split separates groups and ``regroup`` is off; the page is written.
    """
    with study.locked(out):
        return _audited(out, config, progress)


def _audited(out: Path, config: Study, progress: Progress | None) -> Path:
    from bedside.stages.data.audit import gate
    from bedside.stages.data.stage import prepare

    folder = out / AUDIT_DIR
    prepare(out, config, progress, folder=folder, gate=False)
    audit = codec.read_json(Audit, folder / layout.AUDIT)
    failure = None
    if audit.twins and not audit.regrouped:
        try:
            gate(audit.twins, config.data.split_file or config.data.source)
        except GateFailed as error:
            failure = error
    _page(out, folder, failure.message if failure else None)
    if failure is not None:
        raise failure
    return folder


def _page(run: Path, data: Path, failure: str | None) -> None:
    from bedside.stages.data.gallery import thumbnails
    from bedside.stages.data.source import dataset_root
    from bedside.stages.report import audit_page, leakage_view

    root = dataset_root(run, data)

    def pictures(files: Sequence[str]) -> Mapping[str, str]:
        return thumbnails(root, files)

    audit_page.write(data, run / AUDIT_DIR, pictures, failure, leakage_view.view(run))


def split(out: Path, config: Study, progress: Progress | None = None) -> None:
    """Run the data stage alone: ``OUT/data`` and ``OUT/study.toml``, from which ``run`` goes on.

    Raises:
        BadInput: see the data stage.
        GateFailed: the given split separates groups and ``regroup`` is off.
    """
    from bedside.stages.data.stage import prepare

    with study.locked(out):
        prepare(out, config, progress)
        artefact.write_text(layout.study_file(out), codec.to_toml(config))


def facts(folder: Path) -> dict[str, Any]:
    """Return what ``audit --json`` and ``split --json`` print, from a data stage's folder."""
    from bedside.stages.data.audit import shared

    audit = codec.read_json(Audit, folder / layout.AUDIT)
    groups, patients = shared(read_cases(folder / layout.CASES))
    return {"schema": 1, "read": audit.read, "used": audit.used, "set_aside": len(audit.set_aside),
            "groups": audit.groups, "largest_group": audit.largest_group,
            "shared_groups": groups, "shared_patients": patients,
            "duplicates": len(audit.duplicates), "conflicts": len(audit.conflicts),
            "separated_by_given_split": len(audit.twins), "regrouped": audit.regrouped,
            "findings": audit.findings, "outliers": len(audit.outliers),
            "shortcuts": [{"name": s.name, "label": s.label, "auc": s.auc, "warning": s.warning}
                          for s in audit.shortcuts],
            "decisions": audit.decisions, "notes": audit.notes}
