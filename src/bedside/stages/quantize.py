"""Stage ``quantize``: one variant from a float model and a scheme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.errors import BadInput
from bedside.runfolder import artefact, layout, stored
from bedside.runtime.graph import ops_by_dtype, parse_graph, read_graph
from bedside.schemes import SchemeChoice, quantizer
from bedside.schemes.biases import hold_biases


def quantize(run: Path, model: str, choice: SchemeChoice, calibration: Path | None,
             ranges: quantizer.Ranges | None, source_model: str | None = None) -> bool:
    """Write one variant; False where it was finished already.

    Args:
        run: the run folder.
        model: a converted model of it.
        choice: a scheme with its options.
        calibration: the calibration folder the ranges come from, to be recorded.
        ranges: real (minimum, maximum) by tensor name, for schemes that need them.
        source_model: the float model to start from, where it is a child of ``model``
            (``resnet34+equalized``); it is recorded as the variant's parent.

    Raises:
        BadInput: the quantizer refuses the model.
    """
    scheme, options = choice.scheme, choice.options
    variant, origin = layout.variant_id(model, str(choice)), source_model or model
    folder = layout.variant_dir(run, variant)
    source = artefact.check(layout.model_dir(run, origin),
                            layout.float_stage(run, origin)).files[layout.FLOAT_MODEL]
    calibration_hash = calibration.name if calibration is not None else None
    float_model = layout.model_dir(run, origin) / layout.FLOAT_MODEL
    rules = recipe(run, model, choice, float_model)
    spec = stored.model_spec(run, model)
    key = artefact.stage_key("quantize 3", source.sha256, rules, calibration_hash,
                             quantizer_version(), spec.task, spec.preprocess, spec.last_conv)
    if artefact.finished(folder, "quantize", key):
        return False
    data, raised = float_model.read_bytes(), 0
    if ranges is not None and scheme.activations == "int8":
        data, raised = hold_biases(data, ranges)
    if rules:
        data = quantizer.apply(data, rules, ranges, float_model)
    with artefact.writing(folder, "quantize", key) as scratch:
        path = scratch / layout.VARIANT_MODEL
        path.write_bytes(data)
        graph = parse_graph(data, str(path))
        facts = Variant(
            id=variant, model=model, scheme=scheme.name, file=layout.VARIANT_MODEL,
            sha256=artefact.sha256_file(path), size_bytes=len(data),
            input_dtype=graph.tensors[graph.inputs[0]].dtype,
            output_dtype=graph.tensors[graph.outputs[0]].dtype,
            task=spec.task, preprocess=spec.preprocess,
            parent=None if origin == model else origin, options=options,
            last_conv=spec.last_conv, calibration=calibration_hash,
            ops_by_dtype=ops_by_dtype(graph))
        artefact.write_text(scratch / layout.VARIANT, codec.to_json(facts))
        artefact.write_text(scratch / layout.RECIPE, codec.to_json(
            {"scheme": scheme, "options": list(options), "recipe": rules,
             "quantizer": quantizer_version() if rules else None,
             "calibration": calibration_hash, "filters_raised_to_hold_their_bias": raised}))
    return True


def recipe(run: Path, model: str, choice: SchemeChoice, float_model: Path) -> list[dict[str, Any]]:
    """Return the quantizer's recipe of a scheme for one model, layer by layer where it differs.

    Raises:
        BadInput: the scheme needs a search that has not been made, or one of another model.
    """
    module, options = choice.module, frozenset(choice.options)
    rules: list[dict[str, Any]] = module.recipe(options)
    if hasattr(module, "layer_rules"):
        float_layers = _searched(run, model) if "searched" in options else None
        rules = rules + module.layer_rules(read_graph(float_model), options, float_layers)
    return rules


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
