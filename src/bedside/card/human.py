"""``RUN/card.toml``: the human answers about a model, which no stage overwrites."""

from __future__ import annotations

from pathlib import Path

from bedside.card.table import table
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.registry import did_you_mean
from bedside.runfolder import artefact

CARD = "card.toml"


def path_of(run: Path) -> Path:
    """Return the path of a run's answers."""
    return run / CARD


def read(run: Path) -> dict[str, str]:
    """Read the human answers by key; none where there is no file.

    Raises:
        BadInput: not TOML, an unknown key, not a text, or a character that no page can hold.
    """
    path = path_of(run)
    if not path.is_file():
        return {}
    given = codec.read_toml(dict[str, str], path)
    known = table().question
    for key, answer in given.items():
        if key not in known:
            raise BadInput(f"unknown key {key!r}", where=path, remedy=did_you_mean(key, known))
        odd = next((c for c in answer if not _fits(c)), None)
        if odd is not None:
            raise BadInput(f"holds the control character U+{ord(odd):04X}",
                           where=f"{path}: {key}", remedy="Take it out.")
    return {k: v.strip() for k, v in given.items() if v.strip()}


def _fits(character: str) -> bool:
    """Return whether XML 1.0 allows a character."""
    code = ord(character)
    return character in "\t\n\r" or 0x20 <= code < 0xD800 or 0xE000 <= code <= 0xFFFD or \
        code >= 0x10000


def offer(run: Path) -> bool:
    """Write a file with every question and no answer where there is none; return whether it did."""
    path = path_of(run)
    if path.exists():
        return False
    lines = ["# What only people know about this model. Take the # off a line and answer it;",
             "# bedside card RUN (or bedside run) puts the answers into the model card.",
             "# bedside never changes this file.", ""]
    for key, question in table().question.items():
        lines += [f"# {question.text} To be filled in by {question.who}.", f'# {key} = ""', ""]
    artefact.write_text(path, "\n".join(lines))
    return True
