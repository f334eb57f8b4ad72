"""Stage ``quantize``: one variant from a float model and a scheme."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import ModelSpec, Variant
from bedside.core.errors import BadInput, Unquantizable
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import ops_by_dtype, parse_graph, read_graph
from bedside.schemes import SchemeChoice, postcondition, quantizer
from bedside.schemes.biases import hold_biases

STAGE = "quantize"
# Raised when the same model gives another variant: 4 holds it to what its scheme promises.
_VERSION = "quantize 4"


def quantize(run: Path, model: str, choice: SchemeChoice, calibration: Path | None,
             ranges: quantizer.Ranges | None, source_model: str | None = None) -> bool:
    """Write one variant, held to what its scheme promises; False where it was finished already.

    A file that the quantizer refuses, or that is not what the scheme promises, becomes a variant
    that ``failed``, with the reason and without a file (:mod:`bedside.schemes.postcondition`).

    Args:
        run: the run folder.
        model: a converted model of it.
        choice: a scheme with its options.
        calibration: the calibration folder the ranges come from, to be recorded.
        ranges: real (minimum, maximum) by tensor name, for schemes that need them.
        source_model: the float model to start from, where it is a child of ``model``
            (``resnet34+equalized``); it is recorded as the variant's parent.

    Raises:
        BadInput: the scheme needs a search that has not been made, or one of another model.
    """
    scheme, origin = choice.scheme, source_model or model
    folder = layout.variant_dir(run, layout.variant_id(model, str(choice)))
    source = artefact.check(layout.model_dir(run, origin),
                            layout.float_stage(run, origin)).files[layout.FLOAT_MODEL]
    calibration_hash = calibration.name if calibration is not None else None
    float_model = layout.model_dir(run, origin) / layout.FLOAT_MODEL
    rules = recipe(run, model, choice, float_model)
    spec = stored.model_spec(run, model)
    key = artefact.stage_key(_VERSION, source.sha256, rules, calibration_hash,
                             quantizer_version(), spec.task, spec.preprocess, spec.last_conv)
    if artefact.finished(folder, STAGE, key):
        return False
    data, raised = float_model.read_bytes(), 0
    if ranges is not None and scheme.activations == "int8":
        data, raised = hold_biases(data, ranges)
    facts = _facts(model, choice, spec, origin, calibration_hash)
    try:
        written = quantizer.apply(data, rules, ranges, float_model) if rules else data
    except Unquantizable as error:
        _publish_failed(folder, key, replace(facts, reason=_text(error)))
        return True
    with artefact.writing(folder, STAGE, key) as scratch:
        path = scratch / layout.VARIANT_MODEL
        path.write_bytes(written)
        graph = parse_graph(written, str(path))
        facts = replace(
            facts, sha256=artefact.sha256_file(path), size_bytes=len(written),
            input_dtype=graph.tensors[graph.inputs[0]].dtype,
            output_dtype=graph.tensors[graph.outputs[0]].dtype, ops_by_dtype=ops_by_dtype(graph))
        fault = postcondition.format_fault(choice, data, written, _float_layers(run, model, choice))
        with tempfile.TemporaryDirectory(prefix="bedside-") as work:
            fault = fault or postcondition.answers_fault(run, spec.preprocess, path, Path(work))
        if fault is not None:
            path.unlink()
            facts = replace(facts, status="failed", reason=fault)
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(facts))
        artefact.write_text(scratch / layout.RECIPE, codec.to_json(
            {"scheme": scheme, "options": list(choice.options), "recipe": rules,
             "quantizer": quantizer_version() if rules else None,
             "calibration": calibration_hash, "filters_raised_to_hold_their_bias": raised}))
    return True


def refuse(run: Path, model: str, choice: SchemeChoice, error: Unquantizable) -> bool:
    """Publish a variant that could not be made; False where it is there for the same reason."""
    folder = layout.variant_dir(run, layout.variant_id(model, str(choice)))
    spec, reason = stored.model_spec(run, model), _text(error)
    key = artefact.stage_key(_VERSION, "failed", reason, quantizer_version(), spec)
    if artefact.finished(folder, STAGE, key):
        return False
    _publish_failed(folder, key, replace(_facts(model, choice, spec, model, None), reason=reason))
    return True


def _facts(model: str, choice: SchemeChoice, spec: ModelSpec, origin: str,
           calibration: str | None) -> Variant:
    """Return what is known of a variant before its file is there."""
    return Variant(
        id=layout.variant_id(model, str(choice)), model=model, scheme=choice.scheme.name,
        file=layout.VARIANT_MODEL, sha256="", size_bytes=0, input_dtype="", output_dtype="",
        task=spec.task, preprocess=spec.preprocess, parent=None if origin == model else origin,
        options=choice.options, last_conv=spec.last_conv, calibration=calibration)


def _publish_failed(folder: Path, key: str, facts: Variant) -> None:
    with artefact.writing(folder, STAGE, key) as scratch:
        artefact.write_text(scratch / layout.VARIANT,
                            codec.to_json(replace(facts, status="failed")))


def _text(error: Unquantizable) -> str:
    # Without the file: a row names its cell, and no path of this machine goes into a report.
    return " ".join(f"{error.fault}. {error.remedy or ''}".split()).rstrip(".")


def recipe(run: Path, model: str, choice: SchemeChoice, float_model: Path) -> list[dict[str, Any]]:
    """Return the quantizer's recipe of a scheme for one model, layer by layer where it differs.

    Raises:
        BadInput: the scheme needs a search that has not been made, or one of another model.
    """
    module, options = choice.module, frozenset(choice.options)
    rules: list[dict[str, Any]] = module.recipe(options)
    if hasattr(module, "layer_rules"):
        rules = rules + module.layer_rules(read_graph(float_model), options,
                                           _float_layers(run, model, choice))
    return rules


def _float_layers(run: Path, model: str, choice: SchemeChoice) -> tuple[str, ...] | None:
    """Return the layers that a search left out of int8; None for a scheme without a search."""
    return _searched(run, model) if "searched" in choice.options else None


def _searched(run: Path, model: str) -> tuple[str, ...]:
    mixture = stored.mixture(run, model)
    file = layout.model_dir(run, mixture.model) / layout.FLOAT_MODEL
    if not file.is_file() or artefact.sha256_file(file) != mixture.float_sha256:
        raise BadInput("the mixture of layers was searched with other weights",
                       where=f"{model}-mixed+searched",
                       remedy=f"Run it again: bedside search RUN --model {model}.")
    return mixture.kept


def quantizer_version() -> str:
    """Return name and version of the quantizer."""
    from importlib.metadata import version

    return f"litert-quantizer {version('litert-quantizer')}"
