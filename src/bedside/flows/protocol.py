"""The protocol of a run: locked before the test set is opened, shown, and checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bedside.core.errors import BadInput
from bedside.core.protocol import Change, Entry, Locked, Opened, Protocol, Standing, listed, when
from bedside.core.study import Study
from bedside.runfolder import layout, ledger, protocol, protocol_file, stored
from bedside.runtime.bundle import signing

BY_HAND = "bedside protocol lock"
BY_RUN = "bedside run"
# Values of a ledger or a protocol that identify a file are shown by their first digits.
_DIGITS = 12


# ------------------------------------------------------------------ locking


@dataclass(frozen=True, slots=True)
class LockResult:
    """What ``protocol lock`` did: ``written`` is False where the same protocol stood already."""

    schema: int
    written: bool
    sha256: str
    signer: str | None
    standing: Standing


def lock(run: Path, study: Study, key: Path | None = None, again: bool = False) -> LockResult:
    """Lock the protocol of a run by hand; the caller holds the run.

    Args:
        run: its data stage has finished.
        study: its configuration, checked.
        key: a private key (``bedside keygen``) that signs the protocol.
        again: amend a protocol that is locked, which only works before the first opening.

    Raises:
        BadInput: the test set was opened already, a protocol is locked and ``again`` was not
            given, nothing is locked and it was, or a model trained elsewhere is not there yet.
    """
    path = layout.protocol_file(run)
    if study.float_model is not None and not any(
            s.origin == "external" for s in stored.model_specs(run)):
        raise BadInput("the model trained elsewhere has not entered the run", where=run,
                       remedy="Run first: bedside convert RUN.")
    if not ledger.exists(run):
        if again:
            raise BadInput("no protocol is locked", where="--again", remedy="Leave it out.")
        if protocol.test_predicted(run):
            raise BadInput("test images were predicted before any protocol was locked", where=run,
                           remedy="A protocol locked now would prove nothing; start a new run "
                                  "with test images that nobody has used.")
        protocol_file.lock(run, protocol_file.compose(run, study), BY_HAND, key)
        return _result(run, study, True)
    found = protocol.standing(run, study)
    if not found.changes and key is None:
        return _result(run, study, False)
    if found.opened:
        raise BadInput(f"the test set was opened on {when(found.opened_at)}", where=path,
                       remedy="A protocol cannot be amended after that; what has changed stays "
                              "exploratory (bedside protocol show RUN).")
    if not again:
        differs = f" and differs from study.toml: {listed(found.changes)}" if found.changes else ""
        raise BadInput(f"a protocol is locked already{differs}", where=path,
                       remedy="Before the test set is opened it can be amended: bedside protocol "
                              "lock RUN --again.")
    protocol_file.lock(run, protocol_file.compose(run, study), BY_HAND, key, found.changes)
    return _result(run, study, True)


def _result(run: Path, study: Study, written: bool) -> LockResult:
    found = protocol.standing(run, study)
    return LockResult(1, written, found.sha256 or "", found.signer, found)


def before_opening(run: Path, study: Study) -> None:
    """Lock the protocol unless it is locked; the caller holds the run and is about to evaluate.

    A run whose test images an earlier version predicted stays without one. What changed since an
    earlier opening goes into the ledger.

    Raises:
        BadInput: the configuration differs from a protocol that could still be amended, or
            protocol or ledger are damaged.
    """
    if "test" not in study.evaluate.splits:
        return
    if not ledger.exists(run):
        # A protocol.json alone is a lock that was interrupted, unless an opening followed it.
        if not protocol.test_predicted(run):
            protocol_file.lock(run, protocol_file.compose(run, study), BY_RUN)
        return
    found = protocol.standing(run, study)
    if found.changes and not found.opened:
        raise BadInput(f"study.toml differs from it: {listed(found.changes)}",
                       where=layout.protocol_file(run),
                       remedy="The test set has not been opened: put the settings back, or amend "
                              "the protocol with bedside protocol lock RUN --again.")
    protocol.record_changes(run, found)


def after_evaluation(run: Path, study: Study) -> None:
    """Record what an evaluation added to the protocol's cells; the caller holds the run."""
    if ledger.exists(run):
        protocol.record_changes(run, protocol.standing(run, study))


# ------------------------------------------------------------------ showing


@dataclass(frozen=True, slots=True)
class Shown:
    """A run's protocol, the lines of its ledger, and where the run stands."""

    schema: int
    protocol: Protocol
    ledger: tuple[Entry, ...]
    standing: Standing


def show(run: Path, study: Study) -> Shown:
    """Return the protocol with its history; nothing is written.

    Raises:
        BadInput: none is locked, or protocol or ledger are damaged.
    """
    found, entries = protocol_file.read(run)
    return Shown(1, found, entries, protocol.standing(run, study))


def told(entry: Entry) -> str:
    """Return a line of the ledger in words."""
    facts = ledger.facts_of(entry)
    if isinstance(facts, Locked):
        signed = ", signed" if facts.seal is not None else ""
        what = f": {listed(facts.changes)}" if facts.changes else ""
        return f"{facts.by}, protocol {facts.protocol[:_DIGITS]}…{signed}{what}"
    if isinstance(facts, Opened):
        hashes = ", ".join(f"{v[:_DIGITS]}…" for v in facts.predictions.values())
        return (f"{facts.stage} {facts.subject}, {facts.test_images} test images, predictions "
                f"{hashes}")
    return listed(facts.changes, 10) if facts.changes else "everything was put back"


# ------------------------------------------------------------------ verifying


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a protocol and its result."""

    check: str
    result: Literal["pass", "warning", "fail"]
    detail: str


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks; ``passed`` where none failed. ``changes``: what differs from the protocol."""

    schema: int
    passed: bool
    checks: tuple[Check, ...]
    changes: tuple[Change, ...]


def verify(run: Path, study: Study, trust: Path | None = None) -> Verified:
    """Check chain, hash, signature, and whether the run as it stands matches its protocol.

    Args:
        run: the run; nothing is written.
        study: its configuration.
        trust: a public key (PEM) that must have signed the protocol.

    Raises:
        BadInput: no protocol is locked, it was edited, the ledger's chain is broken, or a key
            does not read.
    """
    _, entries = protocol_file.read(run)
    found = protocol.standing(run, study)
    openings = sum(e.kind == "opened" for e in entries)
    checks = [
        Check("ledger", "pass", f"{len(entries)} lines, each continues the one before it; "
                                f"{openings} openings of the test set"),
        Check("protocol", "pass", f"its SHA-256 {found.sha256} is the one that was locked"),
        _signature(run, entries, found, trust),
        Check("run", "fail", f"differs from the protocol: {listed(found.changes)}")
        if found.changes else Check("run", "pass", "matches the protocol"),
        *(Check("versions", "warning", text) for text in found.notes)]
    return Verified(1, all(c.result != "fail" for c in checks), tuple(checks), found.changes)


def _signature(run: Path, entries: tuple[Entry, ...], found: Standing, trust: Path | None
               ) -> Check:
    key = protocol_file.signer(run, entries)
    trusted = None if trust is None else signing.read_public(trust)
    if key is None:
        return Check("signature", "pass" if trusted is None else "fail", "not signed")
    if trusted is None:
        return Check("signature", "pass", f"by key {found.signer}, which nobody was asked to "
                                          "trust (--trust)")
    if trusted != key:
        return Check("signature", "fail", f"by key {found.signer}, not by {trust}")
    return Check("signature", "pass", f"by the trusted key {found.signer}")
