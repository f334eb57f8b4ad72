"""Types of the protocol that stands before the test set is opened, and of its ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bedside.core.study import (
    BudgetConfig,
    CalibrationConfig,
    EvidenceConfig,
    ModelConfig,
    TrainConfig,
)
from bedside.core.types import Split, Task

# The one comparison of a target that was named before the test set was opened; every other
# comparison on the test images describes.
PRIMARY = "validation's choice against its float32 reference, a family of one"
# The predictions of a cell that were published without a protocol say so in this word.
NO_PROTOCOL = "none"


@dataclass(frozen=True, slots=True)
class SplitSeal:
    """The cases by part, and the SHA-256 of every case's id, label, group and part."""

    train: int
    val: int
    test: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PlannedImages:
    """Which images are predicted: the parts, and at most so many a cell (None: all)."""

    splits: tuple[Split, ...]
    images: int | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """``protocol.json``: everything that decides what the test images may answer.

    ``evidence`` and ``budget`` hold margins, threshold rule, floors and limits; ``models``,
    ``float_models`` (SHA-256 of models trained elsewhere, by id), ``train`` and ``calibration``
    are how the variants come about. ``planned`` are the cells (``<variant>@<target>``),
    ``primary`` the comparison that decides on each target. ``versions`` are recorded, not compared
    key by key: see ``docs/decisions/0015-protocol.md``. Times are UTC (ISO 8601).
    """

    schema: int
    locked: str
    evidence: EvidenceConfig
    budget: BudgetConfig
    task: Task
    split: SplitSeal
    planned: tuple[str, ...]
    primary: dict[str, str]
    models: tuple[ModelConfig, ...]
    float_models: dict[str, str]
    train: TrainConfig
    calibration: CalibrationConfig
    evaluate: PlannedImages
    seed: int
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One key of the protocol that the run no longer keeps.

    ``key`` is the path of the setting as in ``study.toml``, or ``planned`` or ``predictions``
    for a cell. ``target``: whose answers alone rest on it; empty for the whole study.
    """

    key: str
    before: Any
    after: Any
    target: str = ""

    @property
    def text(self) -> str:
        """The change in words: ``evidence.sensitivity_margin 0.02 → 0.15``."""
        if self.key == "planned":
            return (f"{self.after} was added" if self.before is None
                    else f"{self.before} was removed")
        if self.key == "predictions":
            return f"the ledger does not record the predictions of {self.after}"
        return f"{self.key} {value_text(self.before)} → {value_text(self.after)}"


def value_text(value: Any) -> str:
    """Return a setting's value on a few characters; hashes and long texts are cut."""
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value)) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"


# ------------------------------------------------------------------ the ledger

Kind = Literal["locked", "amended", "opened", "changed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``ledger.jsonl``; ``previous`` is the SHA-256 of the line before it.

    ``facts`` are a :class:`Locked` (``locked`` and ``amended``), an :class:`Opened` or a
    :class:`Changed`, encoded.
    """

    number: int
    time: str
    kind: Kind
    facts: dict[str, Any]
    previous: str


@dataclass(frozen=True, slots=True)
class Locked:
    """A protocol was locked: the SHA-256 of its file, and the seal of ``--key`` in hexadecimal.

    ``by`` is the command. ``changes``: what an amendment changed.
    """

    protocol: str
    by: str
    seal: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """Answers of test images were read.

    ``stage`` is ``evaluate`` or ``lab`` where predictions came into being, ``evidence`` where
    they were compared, ``repeats`` where networks of a repeat read them. ``subject`` is the cell,
    the model or the repeat; ``predictions`` the SHA-256 of each cell's ``predictions.npz``.
    """

    stage: Literal["evaluate", "lab", "evidence", "repeats"]
    subject: str
    test_images: int
    predictions: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changed:
    """All that differs from the protocol from here on; empty where everything was taken back."""

    changes: tuple[Change, ...]


# ------------------------------------------------------------------ where a run stands


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger proves of a run as it is now.

    ``changes``: every difference between the run and its protocol. ``taken_back``: how many
    times settings differed after the opening and were put back. ``notes``: differences that are
    recorded without making an answer exploratory (versions). ``fault``: why the record is
    missing although this version of bedside made the run.
    """

    locked: bool = False
    opened: bool = False
    locked_at: str | None = None
    opened_at: str | None = None
    sha256: str | None = None
    signer: str | None = None
    amendments: int = 0
    changes: tuple[Change, ...] = ()
    taken_back: int = 0
    notes: tuple[str, ...] = ()
    fault: str | None = None

    def after_opening(self, target: str | None = None) -> tuple[Change, ...]:
        """Return the changes that came after the opening, of one target or of all."""
        if not self.opened:
            return ()
        return tuple(c for c in self.changes if target is None or c.target in ("", target))

    def exploratory(self, target: str | None = None) -> bool:
        """Return whether answers on test images explore.

        Something changed after the opening, or the record that would show it was removed.
        """
        return self.fault is not None or bool(self.after_opening(target))

    def why(self, target: str | None = None) -> str:
        """Return the reason for :meth:`exploratory` as a clause."""
        if self.fault is not None:
            return self.fault[:1].lower() + self.fault[1:]
        return ("settings changed after the test set was opened: "
                f"{listed(self.after_opening(target))}")

    @property
    def sentence(self) -> str:
        """The one sentence on what stood before the test set was opened.

        Reports, cards and gates take it from here, so that they cannot disagree.
        """
        if self.fault is not None:
            return f"{self.fault}, so nothing shows what stood before the test set was opened"
        if not self.locked:
            return ("No protocol was locked before the test set was opened (a run of an earlier "
                    "version), so nothing shows what stood before it" if self.opened else
                    "No protocol is locked, and no test image has been predicted")
        lock = f"The protocol was locked on {when(self.locked_at)}"
        if not self.opened:
            return f"{lock}; the test set has not been opened"
        if self.changes:
            return (f"Exploratory: changed after the test set was opened on "
                    f"{when(self.opened_at)}: {listed(self.changes)}")
        back = ("" if not self.taken_back else ", apart from settings that were changed after it "
                f"and put back ({self.taken_back} in the ledger)")
        return f"{lock}, before the test set was opened, and is unchanged{back}"


def when(time: str | None) -> str:
    """Return a time of the ledger as a reader writes it: ``2026-12-01 10:20 UTC``."""
    return "an unknown day" if time is None else f"{time[:10]} {time[11:16]} UTC"


def listed(changes: tuple[Change, ...], most: int = 3) -> str:
    """Name the first changes and count the rest."""
    texts = [c.text for c in changes]
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "")
