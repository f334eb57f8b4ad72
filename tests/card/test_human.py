"""The file of human answers."""

from __future__ import annotations

import re

from bedside.card import human
from bedside.card.table import table


def test_the_offered_file_reads_as_it_is_and_with_every_answer(copy):
    assert human.read(copy) == {}
    path = human.path_of(copy)
    path.write_text(re.sub(r'^# (\w+) = ""$', r'\1 = "yes"', path.read_text(), flags=re.M))
    assert human.read(copy) == dict.fromkeys(table().question, "yes")
