"""Decide which free texts may stay: none that names the patient or looks like a name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
# Where words meet without a space: drSmith, SMITHJane, us12, 12us.
_JOINT = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|"
                    r"(?<=\d)(?=[A-Za-z])")
_TITLE = re.compile(r"\b(?:Dr|DR|Mr|MR|Mrs|MRS|Ms|MS|Prof|PROF)[A-Z][a-z]{2,}")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae",
                         "œ": "oe", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
_PLAIN = str.maketrans({"ß": "ss", "ø": "o", "æ": "a", "œ": "o", "ł": "l", "đ": "d", "ð": "d",
                        "þ": "t", "ı": "i"})
_SHORT = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_MONTH = rf"{_SHORT}[a-z]*"
_LOOKS = re.compile("|".join((
    r"[^\x20-\x7e]",                                   # not ASCII: probably a name
    r"\^",                                             # between the parts of a person's name
    r"@", r"https?:", r"www\.",
    r"\d{7,}",                                         # record numbers, dates, telephones
    r"(?:\d[ ().-]{0,2}){8,}\d",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}\b",
    r"\b\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})\b",
    rf"\b\d{{1,2}}[ -]?{_MONTH}[ ,-]+\d{{2,4}}\b", rf"\b\d{{1,2}}{_SHORT}\d{{2,4}}\b",
    rf"\b{_MONTH}[ -]\d{{1,2}},?[ ]+\d{{4}}\b",
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


def _spellings(word: str) -> set[str]:
    """Return a word as it is, without accents, and as German and Nordic names are transcribed."""
    folded = unicodedata.normalize("NFC", word.casefold())
    found = {folded}
    for table in (_GERMAN, _PLAIN):
        bare = unicodedata.normalize("NFKD", folded.translate(table))
        found.add("".join(c for c in bare if not unicodedata.combining(c)))
    # And back: Mueller is Müller, which others write Muller.
    found |= {re.sub(r"([aou])e", r"\1", w) for w in set(found)}
    return found


def _pieces(text: str) -> set[str]:
    """Return the words of a text, whole and cut where case or figures change, in all spellings."""
    return {s for part in (text, _JOINT.sub(" ", text)) for w in _words(part)
            for s in _spellings(w)}


@dataclass(frozen=True, slots=True)
class Known:
    """The names of a file's patient: single words, and whole texts without their spaces."""

    words: frozenset[str] = frozenset()
    joined: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()

    def named_in(self, text: str) -> bool:
        """Return whether a text holds any of them, whatever its case and punctuation."""
        if not self.words.isdisjoint(_pieces(text)):
            return True
        wholes = _spellings("".join(_words(text)))
        return any(part in whole for part in self.joined for whole in wholes)

    def placed_in(self, text: str) -> bool:
        """Return whether a text holds a word of an institution or address (not of codes)."""
        return not self.places.isdisjoint(_pieces(text))


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
        words.update(s for p in parts if len(p) >= _MIN_LETTERS and not p.isdigit()
                     for s in _spellings(p) if len(s) >= _MIN_LETTERS)
        joined |= _spellings("".join(parts))
    for text in numbers:
        parts = _words(text)
        words.update(p for p in parts if len(p) >= _MIN_DIGITS and any(map(str.isdigit, p)))
        joined |= _spellings("".join(parts))
    return Known(frozenset(words), tuple(sorted(j for j in joined if len(j) >= _MIN_JOINED)),
                 frozenset(s for text in places for p in _words(text)
                           if len(p) >= _MIN_LETTERS and p.isalpha() and p not in _ORDINARY
                           for s in _spellings(p) if len(s) >= _MIN_LETTERS))


def may_stay(text: str, names: Known) -> bool:
    """Return whether a short technical text holds no name, date, number or contact."""
    # ``_`` is a letter to a regular expression, and hides the ends of words.
    spaced = text.replace("_", " ")
    looks = _LOOKS.search(text) or _LOOKS.search(spaced) or _TITLE.search(spaced)
    return not (looks or names.named_in(text) or names.placed_in(text))
