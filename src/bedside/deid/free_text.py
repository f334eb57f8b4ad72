"""Decide which free texts may stay: none that names the patient or looks like a name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_LOOKS = re.compile("|".join((
    r"[^\x20-\x7e]",                                   # not ASCII: probably a name
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
# Words of institutions and addresses that name no place.
_ORDINARY_TEXT = """
    general hospital hospitals clinic clinical center centre medical medicine health healthcare care
    university college school institute foundation national regional central community memorial
    imaging radiology ultrasound diagnostic diagnostics breast breasts cancer women womens children
    department unit ward floor room suite building main street road avenue lane drive square place
    court house high upper lower left right north south east west new old city county state the and
    for clinique hopital krankenhaus klinikum klinik"""
_ORDINARY = frozenset(_ORDINARY_TEXT.split())
_MIN_LETTERS, _MIN_DIGITS, _MIN_JOINED = 3, 4, 5


def _words(text: str) -> list[str]:
    return [w.casefold() for w in _WORD.findall(text)]


@dataclass(frozen=True, slots=True)
class Known:
    """The names of a file's patient: single words, and whole texts without their spaces."""

    words: frozenset[str] = frozenset()
    joined: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()

    def named_in(self, text: str) -> bool:
        """Return whether a text holds any of them, whatever its case and punctuation."""
        words = _words(text)
        if not self.words.isdisjoint(words):
            return True
        whole = "".join(words)
        return any(part in whole for part in self.joined)

    def placed_in(self, text: str) -> bool:
        """Return whether a text holds a word of an institution or address (not of codes)."""
        return not self.places.isdisjoint(_words(text))


def known(persons: Iterable[str], numbers: Iterable[str], places: Iterable[str] = ()) -> Known:
    """Collect what names a patient.

    Args:
        persons: person names (``DOE^JANE``): each word counts.
        numbers: ids, institutions, addresses: the whole counts, and words with figures.
        places: institutions and addresses: in free text each word counts that is not ordinary.
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
    return Known(frozenset(words), tuple(sorted(j for j in joined if len(j) >= _MIN_JOINED)),
                 frozenset(p for text in places for p in _words(text)
                           if len(p) >= _MIN_LETTERS and p.isalpha() and p not in _ORDINARY))


def may_stay(text: str, names: Known) -> bool:
    """Return whether a short technical text holds no name, date, number or contact."""
    return not (_LOOKS.search(text) or names.named_in(text) or names.placed_in(text))
