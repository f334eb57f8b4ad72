"""Which texts may stay: not those that name the patient, and not those that look like it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_LOOKS = re.compile("|".join((
    r"[^\x20-\x7e]",                                   # not ASCII: a name, more likely than not
    r"\^",                                             # between the parts of a person's name
    r"@", r"https?:", r"www\.",
    r"\d{7,}",                                         # record numbers, dates, telephones
    r"(?:\d[ ().-]{0,2}){8,}\d",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}\b",
    r"\b\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})\b",
    rf"\b\d{{1,2}}[ -]?{_MONTH}[ ,-]+\d{{2,4}}\b", rf"\b{_MONTH}[ -]\d{{1,2}},?[ ]+\d{{4}}\b",
    r"\b\d{1,3}(?:\.\d{1,3}){3}\b",
    r"\b(?:dr|mr|mrs|ms|prof|patient|name|dob|born|birth|mrn|ssn|phone|tel|fax|address)\b",
)), re.IGNORECASE)
_MIN_LETTERS, _MIN_DIGITS, _MIN_JOINED = 3, 4, 5


def _words(text: str) -> list[str]:
    return [w.casefold() for w in _WORD.findall(text)]


@dataclass(frozen=True, slots=True)
class Known:
    """What names the patient of a file: single words, and whole texts without their spaces."""

    words: frozenset[str] = frozenset()
    joined: tuple[str, ...] = ()

    def named_in(self, text: str) -> bool:
        """Whether a text holds any of them, whatever its case and punctuation."""
        words = _words(text)
        if not self.words.isdisjoint(words):
            return True
        whole = "".join(words)
        return any(part in whole for part in self.joined)


def known(persons: Iterable[str], numbers: Iterable[str]) -> Known:
    """Collect what names a patient.

    Args:
        persons: person names (``DOE^JANE``), institutions, addresses: each word counts.
        numbers: ids: the whole counts.
    """
    words: set[str] = set()
    joined: set[str] = set()
    for text in persons:
        parts = _words(text)
        words.update(p for p in parts if len(p) >= _MIN_LETTERS and not p.isdigit())
        joined.add("".join(parts))
    for text in numbers:
        parts = _words(text)
        words.update(p for p in parts if len(p) >= _MIN_DIGITS and any(map(str.isdigit, p)))
        joined.add("".join(parts))
    return Known(frozenset(words), tuple(sorted(j for j in joined if len(j) >= _MIN_JOINED)))


def may_stay(text: str, names: Known) -> bool:
    """Whether a short technical text is known not to identify: no name, date, number, contact."""
    return not _LOOKS.search(text) and not names.named_in(text)
