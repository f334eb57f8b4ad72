"""A contract that lies beside a model: of ``import-model``, or of a run of this program."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from bedside.core import codec
from bedside.core.build import ModelSpec
from bedside.core.contract import Contract, Declared
from bedside.core.errors import BadInput
from bedside.core.types import Preprocess
from bedside.foreign.declare import FLAG, PREPROCESS
from bedside.runfolder import artefact, layout


@dataclass(frozen=True, slots=True)
class Known:
    """The classes and the preprocessing of a normalised file, and where they stand."""

    name: str
    classes: tuple[str, ...]
    preprocess: Preprocess


def model_in(path: Path) -> Path:
    """Return the model of a folder that ``import-model`` wrote; any other path as it is."""
    if not (path / layout.CONTRACT).is_file():
        return path
    return path / file_name(codec.read_toml(Contract, path / layout.CONTRACT).source)


def file_name(source: str) -> str:
    """Return the name of the normalised file of a source file."""
    return f"{Path(source).stem}.tflite"


def contract_of(path: Path) -> Known | None:
    """Return what lies beside a model and speaks of it, or None.

    Raises:
        BadInput: ``contract.toml`` speaks of another file.
    """
    file = path.with_name(layout.CONTRACT)
    if file.is_file() and path.is_file():
        contract = codec.read_toml(Contract, file)
        if hashlib.sha256(path.read_bytes()).hexdigest() != contract.sha256:
            raise BadInput(f"describes another file than {path.name} (their hashes differ)",
                           where=file, remedy="Import the model again, or take the contract away.")
        return Known(layout.CONTRACT, contract.classes, contract.preprocess)
    spec = path.with_name(layout.SPEC)
    if path.name == layout.FLOAT_MODEL and spec.is_file():
        own = codec.read_json(ModelSpec, artefact.verified(spec))
        return Known(layout.SPEC, own.task.classes, own.preprocess)
    return None


def joined(declared: Declared, given: Preprocess | None, known: Known | None
           ) -> tuple[Declared, Preprocess | None, str, str]:
    """Complete a declaration by what lies beside the file; what is declared wins.

    Returns:
        The declaration, the preprocessing, and where classes and preprocessing come from.
    """
    classes_from, given_from = FLAG, PREPROCESS
    if known is None:
        return declared, given, classes_from, given_from
    if not declared.classes:
        declared, classes_from = replace(declared, classes=known.classes), known.name
    own = (declared.input_range, declared.mean, declared.std, declared.resize, declared.filter,
           declared.normalise)
    if given is None and not any(own):
        given, given_from = known.preprocess, known.name
    return declared, given, classes_from, given_from
