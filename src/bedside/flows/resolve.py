"""Merge a study file and command-line flags into one configuration."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.core.study import (
    DataConfig,
    EvaluateConfig,
    FloatModelConfig,
    ModelConfig,
    PhantomConfig,
    QuantizedModelConfig,
    Study,
    TrainConfig,
)
from bedside.flows.check import check as check_study
from bedside.flows.declared import DECLARED, declared_of, joined
from bedside.models import default_config, paper_preset
from bedside.runfolder import layout, stored

DEFAULT_MODELS = ("efficientnet_lite0",)
PRESETS = ("practical", "paper", "demo")


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of ``run`` that change a study; None or empty leaves the file's value."""

    dataset: Path | None = None
    preset: str | None = None
    model: tuple[str, ...] = ()
    scheme: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    positive: str | None = None
    split_file: Path | None = None
    class_names: str | None = None
    regroup: bool = False
    skip_bad: bool = False
    decisions: Path | None = None
    columns: tuple[str, ...] = ()
    layout: str | None = None
    near_duplicates: str | None = None
    epochs: int | None = None
    image_px: int | None = None
    weights: Path | None = None
    tune: int | None = None
    seed: int | None = None
    float_model: Path | None = None
    preprocess: Path | None = None
    last_conv: str | None = None
    repeats: int | None = None
    folds: int | None = None
    model_classes: str | None = None
    input_range: str | None = None
    mean: str | None = None
    std: str | None = None
    colour: str | None = None
    resize: str | None = None
    filter: str | None = None
    normalise: str | None = None
    output_kind: str | None = None
    output: str | None = None
    signature: str | None = None
    image_size: str | None = None
    quantized_model: Path | None = None


def preset(name: str) -> Study:
    """Return a ready study: ``practical`` (default), ``paper`` or ``demo``.

    Raises:
        BadInput: no such preset.
    """
    if name == "practical":
        return Study(models=tuple(default_config(n) for n in DEFAULT_MODELS))
    if name == "paper":
        # The paper's task is malignant against benign (Section 4.2), its images 224 × 224.
        return Study(data=DataConfig(exclude=("normal",)), models=paper_preset())
    if name == "demo":
        return _demo()
    raise BadInput(f"unknown preset {name!r}", where="--preset", remedy=did_you_mean(name, PRESETS))


def _demo() -> Study:
    phantom = PhantomConfig(images=700, height_px=128, width_px=128, difficulty=0.4)
    return Study(
        data=DataConfig(source="phantom", proportions=(400, 100, 200), phantom=phantom),
        models=(ModelConfig("efficientnet_lite0", image_px=96, epochs=4),
                ModelConfig("resnet34", image_px=96, width=0.25, epochs=8)),
        train=TrainConfig(),
        evaluate=EvaluateConfig(rounds=3, warmup=3, samples=10))


def resolve(file: Path | None, flags: Flags, run: Path | None = None) -> Study:
    """Return the study that a command line asks for.

    A study file wins over the run's own ``study.toml``, which wins over a preset; flags win
    over all. Relative paths in a study file are relative to that file.

    Raises:
        BadInput: no data source is known, or a value cannot work.
    """
    base = _base(file, flags, run)
    base = _with_data(base, flags)
    base = _with_models(base, flags)
    if flags.scheme:
        base = replace(base, schemes=flags.scheme)
    if flags.target:
        base = replace(base, targets=flags.target)
    if flags.seed is not None:
        base = replace(base, seed=flags.seed)
    return check_study(_with_repeats(base, flags), run)


def _with_repeats(base: Study, flags: Flags) -> Study:
    own = base.repeats
    count = own.repeats if flags.repeats is None else flags.repeats
    folds = own.folds if flags.folds is None else flags.folds
    if flags.folds and not count and flags.repeats is None:
        count = 1  # one cross-validation
    return replace(base, repeats=replace(own, repeats=count, folds=folds))


def _base(file: Path | None, flags: Flags, run: Path | None) -> Study:
    if file is not None:
        return _anchored(codec.read_toml(Study, file), file.parent)
    existing = run is not None and layout.study_file(run).is_file()
    if run is not None and existing and flags.preset is None:
        return stored.study(run)
    if flags.dataset is None and flags.preset != "demo":
        raise BadInput("no dataset given", where="bedside run",
                       remedy="Give a folder, CSV or .npz, -c study.toml, or try bedside demo.")
    return preset(flags.preset or "practical")


def _anchored(base: Study, folder: Path) -> Study:
    def anchor(text: str) -> str:
        return str((folder / text).resolve())

    data = base.data
    if data.source != "phantom":
        data = replace(data, source=anchor(data.source))
    if data.split_file is not None:
        data = replace(data, split_file=anchor(data.split_file))
    if data.decisions is not None:
        data = replace(data, decisions=anchor(data.decisions))
    models = tuple(m if m.weights in ("default", "random")
                   else replace(m, weights=anchor(m.weights)) for m in base.models)
    external = base.float_model
    if external is not None:
        external = replace(external, file=anchor(external.file), preprocess=anchor(
            external.preprocess) if external.preprocess else None)
    quantized = base.quantized_model
    if quantized is not None:
        quantized = replace(quantized, file=anchor(quantized.file), preprocess=anchor(
            quantized.preprocess) if quantized.preprocess else None)
    return replace(base, data=data, models=models, float_model=external,
                   quantized_model=quantized)


def _with_data(base: Study, flags: Flags) -> Study:
    data = base.data
    if flags.dataset is not None:
        source = str(flags.dataset)
        data = replace(data, source=source if source == "phantom" else str(flags.dataset.resolve()))
    if flags.exclude:
        data = replace(data, exclude=flags.exclude)
    if flags.merge:
        data = replace(data, merge=_merged(flags.merge))
    if flags.positive is not None:
        data = replace(data, positive=flags.positive)
    if flags.split_file is not None:
        data = replace(data, split_file=str(flags.split_file.resolve()))
    if flags.decisions is not None:
        data = replace(data, decisions=str(flags.decisions.resolve()))
    if flags.class_names is not None:
        names = tuple(n.strip() for n in flags.class_names.split(","))
        if "" in names:
            raise BadInput("an empty class name", where="--class-names",
                           remedy="Give names as A,B.")
        data = replace(data, class_names=names)
    if flags.columns:
        data = replace(data, columns=_columns(flags.columns))
    if flags.layout is not None:
        data = replace(data, layout=_one_of("layout", flags.layout))
    if flags.near_duplicates is not None:
        data = replace(data, near_duplicates=_one_of("near_duplicates", flags.near_duplicates))
    if flags.regroup:
        data = replace(data, regroup=True)
    if flags.skip_bad:
        data = replace(data, skip_bad=True)
    return replace(base, data=data)


def _one_of(name: str, value: str) -> Any:
    """Return a flag's value. Raises BadInput where it is none of the field's."""
    return codec.decode(typing.get_type_hints(DataConfig)[name], value,
                        f"--{name.replace('_', '-')}")


def _columns(flags: Sequence[str]) -> dict[str, str]:
    """Return ``--columns label=dx,file=image_id+.jpg`` as a mapping; repeated flags add up."""
    found: dict[str, str] = {}
    for item in (i for text in flags for i in text.split(",")):
        role, separator, column = item.partition("=")
        if not separator or not role.strip() or not column.strip():
            raise BadInput(f"{item!r} is not ROLE=COLUMN", where="--columns",
                           remedy="Write --columns label=dx,patient=lesion_id,"
                           "file=image_id+.jpg; in study.toml use [data.columns] where a "
                           "column's name holds a comma.")
        if role.strip() in found:
            raise BadInput(f"{role.strip()!r} is given twice", where="--columns",
                           remedy="Give each role once.")
        found[role.strip()] = column.strip()
    return found


def _merged(flags: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return every ``--merge``; those of one new class add up, as repeated flags do."""
    merge: dict[str, tuple[str, ...]] = {}
    for new, old in map(_merge, flags):
        before = merge.get(new, ())
        merge[new] = before + tuple(o for o in old if o not in before)
    return merge


def _merge(text: str) -> tuple[str, tuple[str, ...]]:
    new, separator, old = text.partition("=")
    parts = tuple(p.strip() for p in old.split(","))
    if not separator or not new.strip() or "" in parts:
        raise BadInput(f"{text!r} is not NEW=A,B", where="--merge",
                       remedy="Write it as --merge other=benign,normal.")
    return new.strip(), parts


def _with_models(base: Study, flags: Flags) -> Study:
    models = base.models
    if flags.model:
        models = tuple(default_config(name) for name in flags.model)
    if flags.float_model is not None:
        base = replace(base, float_model=FloatModelConfig(
            str(flags.float_model.resolve()),
            str(flags.preprocess.resolve()) if flags.preprocess else None, flags.last_conv,
            declared_of(flags)))
        models = models if flags.model else ()
    elif base.float_model is not None and flags.preprocess is None and flags.last_conv is None:
        base = replace(base, float_model=replace(
            base.float_model, contract=joined(declared_of(flags), base.float_model.contract)))
    elif given := [n for n in (*DECLARED, "preprocess", "last_conv") if getattr(flags, n) and not (
            flags.quantized_model is not None and n in ("preprocess", "model_classes"))]:
        raise BadInput("given without --float-model",
                       where=", ".join(f"--{n.replace('_', '-')}" for n in given),
                       remedy="They describe a model trained elsewhere.")
    if flags.quantized_model is not None:
        base = _with_quantized(base, flags)
        models = models if flags.model else ()
    if flags.weights is not None:
        models = tuple(replace(m, weights=str(flags.weights.resolve())) for m in models)
    if flags.epochs is not None:
        models = tuple(replace(m, epochs=flags.epochs) for m in models)
    if flags.image_px is not None:
        models = tuple(replace(m, image_px=flags.image_px) for m in models)
    if flags.tune is not None:
        base = replace(base, train=replace(base.train, tune=flags.tune))
    return replace(base, models=models)


def _with_quantized(base: Study, flags: Flags) -> Study:
    """Return the study with a file that was quantized elsewhere; alone it needs float32 at most."""
    alone = base.float_model is None
    if alone and flags.last_conv is not None:
        raise BadInput("given without --float-model", where="--last-conv",
                       remedy="It names a layer of a float model.")
    preprocess = str(flags.preprocess.resolve()) if alone and flags.preprocess else None
    classes = declared_of(flags).classes if alone else ()
    assert flags.quantized_model is not None
    return replace(base, schemes=flags.scheme or (layout.BASELINE,),
                   quantized_model=QuantizedModelConfig(str(flags.quantized_model.resolve()),
                                                        preprocess, classes))


def one_model(run: Path, study: Study, name: str | None, changes: Mapping[str, Any]) -> Study:
    """Return the study with one network alone: its first, or ``name`` with the usual settings.

    Args:
        run: the run folder.
        study: its configuration.
        name: a network of the registry.
        changes: fields of :class:`ModelConfig` to replace.

    Raises:
        BadInput: no network, an unknown one, or settings that cannot work.
    """
    if name is None and not study.models:
        raise BadInput("the run trains no network of its own", where=run,
                       remedy="Name one with --model.")
    chosen = study.models[0] if name is None else default_config(name)
    return check_study(replace(study, models=(replace(chosen, **changes),)), run)
