"""``protocol.json``: composed from a run, locked in its ledger, read and checked."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import bedside
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import (
    PRIMARY,
    Change,
    Entry,
    Locked,
    PlannedImages,
    Protocol,
    SplitSeal,
)
from bedside.core.study import Study
from bedside.core.types import Case
from bedside.runfolder import artefact, layout, ledger, stored
from bedside.runtime.bundle import signing
from bedside.runtime.files import sha256_file, write_text

SCHEMA = 1
# The scheme of a file that was quantized elsewhere, as ``schemes.GIVEN``, which lies above.
GIVEN = "given"
# What is signed begins with this, so that no other file's signature passes for a protocol's.
_SIGNED_AS = b"bedside protocol\n"


# ------------------------------------------------------------------ composing


def compose(run: Path, study: Study) -> Protocol:
    """Return the protocol of a run as its configuration and cases stand now.

    Args:
        run: its data stage has finished.
        study: the configuration; ids and schemes may be as a person wrote them.

    Raises:
        BadInput: the data stage has not finished, or its files differ from what it published.
    """
    models = _model_ids(run, study)
    external = {} if study.float_model is None else {
        s.id: artefact.record(layout.model_dir(run, s.id), "convert").files[
            layout.FLOAT_MODEL].sha256
        for s in stored.model_specs(run) if s.origin == "external"}
    cells = [(m, s) for m in models for s in map(_canonical, study.schemes)]
    if study.quantized_model is not None:
        cells += [(m, GIVEN) for m in _given_model(run, study)]
        external = external | {GIVEN: sha256_file(Path(study.quantized_model.file))}
    return Protocol(
        SCHEMA, ledger.now(), study.evidence, study.budget, stored.task(run),
        seal_split(stored.cases(run)),
        tuple(layout.cell_name(layout.variant_id(m, s), t) for m, s in cells
              for t in study.targets),
        dict.fromkeys(study.targets, PRIMARY),
        tuple(replace(m, id=m.id or m.name) for m in study.models),
        external, study.train, study.calibration,
        PlannedImages(study.evaluate.splits, study.evaluate.images), study.seed, versions())


def seal_split(cases: Iterable[Case]) -> SplitSeal:
    """Count the cases of each part and hash every case's id, label, group and part."""
    rows = sorted((c.id, c.label, c.group, c.split) for c in cases)
    counts = {part: sum(r[3] == part for r in rows) for part in ("train", "val", "test")}
    digest = hashlib.sha256("".join(f"{codec.to_json(list(r))}" for r in rows).encode())
    return SplitSeal(counts["train"], counts["val"], counts["test"], digest.hexdigest())


def versions() -> dict[str, str]:
    """Return the versions of what computes: bedside, Python, NumPy, torch and LiteRT."""
    found = {"bedside": bedside.__version__, "python": platform.python_version()}
    for name, package in (("numpy", "numpy"), ("torch", "torch"), ("litert", "ai-edge-litert")):
        try:
            found[name] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _model_ids(run: Path, study: Study) -> list[str]:
    ids = [m.id or m.name for m in study.models]
    if study.float_model is not None:
        ids += [s.id for s in stored.model_specs(run) if s.origin == "external"]
    return ids


def _given_model(run: Path, study: Study) -> list[str]:
    """Return the model of the file that was quantized elsewhere, once it is in the run."""
    origin = "quantized" if study.float_model is None else "external"
    return [s.id for s in stored.model_specs(run) if s.origin == origin]


def _canonical(scheme: str) -> str:
    """Return a scheme's id with its options sorted, as folders are named."""
    name, *options = scheme.split("+")
    return "+".join([name, *sorted(options)])


# ------------------------------------------------------------------ locking


def lock(run: Path, protocol: Protocol, by: str, key: Path | None = None,
         changes: tuple[Change, ...] | None = None) -> str:
    """Write ``protocol.json`` and the ledger's line about it; returns the file's SHA-256.

    Args:
        run: the run folder, which the caller holds.
        protocol: what to lock.
        by: the command that locks it.
        key: a private key that signs it.
        changes: what an amendment before the opening changes; None for the first lock.

    Raises:
        BadInput: not an Ed25519 private key, or the disk's fault.
    """
    data = codec.to_json(protocol)
    seal = None if key is None else signing.sign(key, _SIGNED_AS + data.encode()).hex()
    path = layout.protocol_file(run)
    write_text(path, data)
    sha256 = sha256_file(path)
    ledger.append(run, "locked" if changes is None else "amended",
                  Locked(sha256, by, seal, changes or ()))
    return sha256


def read(run: Path) -> tuple[Protocol, tuple[Entry, ...]]:
    """Read protocol and ledger, and check that they belong together.

    Raises:
        BadInput: one of them is missing, the ledger's chain is broken, or the protocol is not
            the one that was locked.
    """
    path = layout.protocol_file(run)
    if not ledger.exists(run):
        if path.is_file():
            raise BadInput("it lies here without its ledger.jsonl", where=path,
                           remedy=ledger.REMEDY)
        raise BadInput("no protocol is locked", where=run,
                       remedy="Lock it before the test set is opened: bedside protocol lock RUN.")
    entries = ledger.read(run)
    if not path.is_file():
        raise BadInput("it lies here without its protocol.json", where=layout.ledger_file(run),
                       remedy=ledger.REMEDY)
    if sha256_file(path) != last_lock(entries).protocol:
        raise BadInput("it was edited since it was locked: its SHA-256 is not the ledger's",
                       where=path, remedy=ledger.REMEDY)
    return codec.read_json(Protocol, path), entries


def last_lock(entries: tuple[Entry, ...]) -> Locked:
    """Return the lock that holds: the first, or the last amendment."""
    return ledger.of(entries, Locked)[-1][1]


def signer(run: Path, entries: tuple[Entry, ...]) -> bytes | None:
    """Return the public key (32 bytes) that signed the protocol; None where nobody did.

    Raises:
        BadInput: there is a signature and it is not this protocol's.
    """
    seal = last_lock(entries).seal
    if seal is None:
        return None
    path = layout.protocol_file(run)
    try:
        found = signing.verified(bytes.fromhex(seal), _SIGNED_AS + path.read_bytes())
    except ValueError:
        found = None
    if found is None:
        raise BadInput("its signature in the ledger is not of this protocol", where=path,
                       remedy=ledger.REMEDY)
    return found
