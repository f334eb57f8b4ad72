"""What stood before the test set was opened, as the report says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bedside.core import codec
from bedside.core.protocol import Standing, when
from bedside.core.text import capital, plural


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """Template variables of the protocol.

    ``alarm``: what the first screen says before everything else, empty where all stood;
    ``exploratory`` leads it.
    ``margins``: a clause on the margins, for the sentences that print them. ``facts``: label and
    value for the methods. ``changes``: every change after the opening, in words.
    """

    alarm: str
    exploratory: bool
    margins: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]


def view(found: Standing) -> ProtocolView:
    """Return the words for one of the three cases: stood, changed, or no protocol."""
    changes = found.after_opening()
    alarm = "" if found.locked and not changes else (
        capital(found.sentence.removeprefix("Exploratory: ")) + ".")
    facts = [("What stood before the test set was opened", f"{found.sentence}.")]
    if found.sha256 is not None:
        facts += [("Protocol", f"protocol.json, SHA-256 {found.sha256}"),
                  ("Locked", when(found.locked_at) + (
                      f", amended {plural(found.amendments, 'time')} before the test set was opened"
                      if found.amendments else "")),
                  ("Signed", f"by key {found.signer}" if found.signer else "no"),
                  ("Test set opened", when(found.opened_at) if found.opened else "no")]
    facts += [("Recorded beside it", f"{text}.") for text in found.notes]
    return ProtocolView(alarm, found.exploratory(), margins(found), found.sentence, tuple(facts),
                        tuple(c.text for c in changes))


def margins(found: Standing) -> str:
    """Return the clause that follows the margins: how it is known that they stood before."""
    if found.fault is not None or not found.locked:
        return "no protocol shows that these margins stood before the test set was opened"
    if not found.opened:
        return "these margins are locked in the protocol, and the test set has not been opened"
    moved = [c for c in found.changes if c.key.startswith("evidence.")]
    if moved:
        return ("these margins and rules are not those of the protocol, which was departed from "
                f"after the test set was opened ({', '.join(c.text for c in moved)})")
    return (f"these margins were locked in the protocol on {when(found.locked_at)}, before the "
            "test set was opened")


def document(found: Standing) -> dict[str, Any]:
    """Return the key ``protocol`` of ``results.json``."""
    return {**codec.encode(found), "exploratory": found.exploratory(), "sentence": found.sentence}
