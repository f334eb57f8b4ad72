"""Where a run stands to its protocol: the openings of its test set, and what changed since."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bedside.core import codec
from bedside.core.build import Measurement
from bedside.core.errors import BadInput
from bedside.core.protocol import NO_PROTOCOL, Change, Changed, Entry, Opened, Protocol, Standing
from bedside.core.study import Study
from bedside.runfolder import artefact, layout, ledger, protocol_file, stored
from bedside.runfolder.predictions import read_predictions
from bedside.runtime.bundle import signing

# The key of a manifest's facts that names the protocol under which predictions were published.
FACT = "protocol"
# Not compared key by key: when it was locked, with which versions, and the lists of cells.
_RECORDED = ("schema", "locked", "versions", "planned", "primary")


# ------------------------------------------------------------------ openings and changes


def opened(run: Path, stage: str, subject: str, test_images: int,
           predictions: Mapping[str, str]) -> None:
    """Record that answers of test images are read; nothing where no protocol is locked.

    A run without a ledger stays one: :func:`standing` says so.

    Args:
        run: the run folder, which the caller holds.
        stage: ``evaluate``, ``lab`` or ``evidence``.
        subject: the cell or the model.
        test_images: 0 records nothing.
        predictions: the SHA-256 of ``predictions.npz`` by cell.
    """
    if test_images and ledger.exists(run):
        facts = codec.decode(Opened, {
            "stage": stage, "subject": subject, "test_images": test_images,
            "predictions": dict(predictions), "versions": protocol_file.versions()})
        ledger.append(run, "opened", facts)


def fact(run: Path) -> dict[str, str]:
    """Return what a manifest keeps beside predictions: the protocol they were made under."""
    if not ledger.exists(run):
        return {FACT: NO_PROTOCOL}
    return {FACT: protocol_file.last_lock(ledger.read(run)).protocol}


def record_changes(run: Path, found: Standing) -> None:
    """Append what differs from the protocol after the opening, unless the ledger says so already.

    An empty list of changes says that everything was taken back.
    """
    if not found.opened or not found.locked:
        return
    told = ledger.of(ledger.read(run), Changed)
    before = told[-1][1].changes if told else ()
    # Compared as written, where a tuple is a list.
    if codec.encode(before) != codec.encode(found.changes):
        ledger.append(run, "changed", Changed(found.changes))


# ------------------------------------------------------------------ where a run stands


def standing(run: Path, study: Study) -> Standing:
    """Return what stood before the test set was opened, and what has changed since.

    Args:
        run: the run folder.
        study: the configuration that its results rest on.

    Raises:
        BadInput: protocol or ledger were edited, cut or separated.
    """
    if not ledger.exists(run) and not layout.protocol_file(run).is_file():
        return _without(run)
    protocol, entries = protocol_file.read(run)
    openings = ledger.of(entries, Opened)
    key = protocol_file.signer(run, entries)
    return Standing(
        locked=True, opened=bool(openings), locked_at=protocol.locked,
        opened_at=openings[0][0].time if openings else None,
        sha256=protocol_file.last_lock(entries).protocol,
        signer=None if key is None else signing.fingerprint(key),
        amendments=sum(e.kind == "amended" for e in entries),
        changes=differences(run, protocol, protocol_file.compose(run, study), openings),
        taken_back=sum(not c.changes for _, c in ledger.of(entries, Changed)),
        notes=_version_notes(protocol, openings))


def differences(run: Path, protocol: Protocol, current: Protocol,
                openings: list[tuple[Entry, Opened]]) -> tuple[Change, ...]:
    """Return every difference between a protocol and a run as it stands."""
    old, new = (_settings(p) for p in (protocol, current))
    found = [Change(k, old.get(k), new.get(k), _target(k)) for k in dict.fromkeys([*old, *new])
             if old.get(k) != new.get(k)]
    measured = {layout.cell_name(m.variant, m.target): m for m in _tested(run)}
    planned = dict.fromkeys([*current.planned, *measured])
    found += [Change("planned", c, None, _on(c)) for c in protocol.planned if c not in planned]
    found += [Change("planned", None, c, _on(c)) for c in planned if c not in protocol.planned]
    if openings:
        known = {pair for _, o in openings for pair in o.predictions.items()}
        found += [Change("predictions", None, name, m.target) for name, m in measured.items()
                  if (name, stored.predictions_sha256(run, m)) not in known]
    return tuple(found)


def _settings(protocol: Protocol) -> dict[str, Any]:
    """Return what is compared key by key; an empty table counts as a missing one."""
    plain = codec.encode(protocol)
    for key in _RECORDED:
        plain.pop(key)
    return {k: v for k, v in codec.flat(plain).items() if v not in ({}, [])}


def _target(key: str) -> str:
    """Return the target whose answers alone rest on a setting."""
    head = "budget.targets."
    return key[len(head):].rpartition(".")[0] if key.startswith(head) else ""


def _on(cell: str) -> str:
    return cell.rpartition("@")[2]


def _tested(run: Path) -> list[Measurement]:
    """Return the measurements that hold answers of test images."""
    return [m for m in stored.measurements(run) if stored.usable(m)
            and any(e.n for e in m.metrics.get("test", {}).values())]


def _version_notes(protocol: Protocol, openings: list[tuple[Entry, Opened]]) -> tuple[str, ...]:
    """Return versions that read the test set and are not the protocol's."""
    used: dict[str, dict[str, None]] = {}
    for _, o in openings:
        for name, version in o.versions.items():
            if protocol.versions.get(name) != version:
                used.setdefault(name, {})[version] = None
    return tuple(f"computed with {name} {', '.join(v)}; the protocol was locked with "
                 f"{protocol.versions.get(name, 'none')}" for name, v in sorted(used.items()))


def _without(run: Path) -> Standing:
    """Return the standing of a run that has neither protocol nor ledger."""
    if not test_predicted(run):
        return Standing()
    folders = [layout.measurement_dir(run, m.variant, m.target)
               for m in stored.measurements(run) if stored.usable(m)]
    made_under = [_made_under(f) for f in folders]
    protocols = sorted({p for p in made_under if p not in (None, NO_PROTOCOL)})
    fault = None
    if protocols:
        fault = (f"The protocol {str(protocols[0])[:12]}… under which test images were predicted "
                 "is no longer in the run")
    elif made_under and all(p == NO_PROTOCOL for p in made_under):
        fault = "Test images were predicted without a protocol"
    return Standing(opened=True, fault=fault)


def _made_under(folder: Path) -> str | None:
    """Return the protocol that a cell's manifest names; None in a run of an earlier version."""
    stages = artefact.read_manifest(folder).stages
    named = [stages[s].facts[FACT] for s in ("predict", "evaluate")
             if s in stages and FACT in stages[s].facts]
    return named[0] if named else None


def test_predicted(run: Path) -> bool:
    """Return whether any predictions of test images lie in the run, older ones included."""
    for path in sorted((run / "measurements").rglob(layout.PREDICTIONS)):
        try:
            if (read_predictions(path).split == "test").any():
                return True
        except BadInput:
            return True  # nobody can say that it held none
    return False
