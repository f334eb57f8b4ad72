"""Fine-tuned INT8 after a search."""

from __future__ import annotations

from bedside import schemes
from bedside.flows.search import tuned


def test_the_scheme_to_fine_tune_follows_the_mixture():
    for mixture, scheme in (("mixed+searched", "int8+qat"),
                            ("mixed+percentile+searched+wide", "int8+percentile+qat")):
        assert str(tuned.scheme_of(schemes.parse(mixture))) == scheme
