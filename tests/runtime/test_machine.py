"""Description of this machine."""

from __future__ import annotations

import os
import sys

from bedside.runtime.machine import cpu_flags, machine


def test_the_machine_is_described_in_text_without_its_name():
    facts = machine()
    assert facts["cores"] == str(os.cpu_count())
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert all(isinstance(v, str) for v in facts.values())
    assert os.uname().nodename not in facts.values()


def test_flags_are_single_words():
    assert all(f and " " not in f for f in cpu_flags())
