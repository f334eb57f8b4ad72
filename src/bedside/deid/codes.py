"""Standard meanings of coded entries (PS3.16), as the text in a file may name a patient."""

from __future__ import annotations

import functools
from typing import Any

# Older names of schemes, and SNOMED's older ids (PS3.16 Chapter 8).
_RENAMED = {"ICD10": "I10"}
_OLD_SNOMED = frozenset({"SRT", "SNM3", "99SDM"})


# LO, the kind of text that a meaning is, holds no more.
_LONGEST = 64


@functools.cache
def _meanings() -> dict[tuple[str, str], tuple[str, ...]]:
    from pydicom.sr import _concepts_dict

    concepts: dict[str, Any] = _concepts_dict.concepts
    found: dict[tuple[str, str], set[str]] = {}
    for scheme, keywords in concepts.items():
        for codes in keywords.values():
            for code, (meaning, _) in codes.items():
                if len(meaning) <= _LONGEST:
                    found.setdefault((scheme, code), set()).add(meaning)
    return {key: tuple(sorted(v, key=lambda m: (len(m), m))) for key, v in found.items()}


def meaning(scheme: str, code: str, claimed: str) -> str:
    """Return the meaning of a code by pydicom's copy of PS3.16; empty where it gives none.

    Args:
        scheme: coding scheme designator.
        code: code value.
        claimed: returned where it is one of the standard's; else the shortest of those is.
    """
    if scheme in _OLD_SNOMED:
        from pydicom.sr._snomed_dict import mapping

        scheme, code = "SCT", mapping["SRT"].get(code, "")
    known = _meanings().get((_RENAMED.get(scheme, scheme), code), ())
    return next((m for m in known if m.casefold() == claimed.casefold()), known[0] if known else "")
