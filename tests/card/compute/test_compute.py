"""Sources of automatic card fields."""

from __future__ import annotations

import json

import pytest

from bedside.card import compute
from bedside.services.rest import server


def test_a_source_that_is_not_there_is_refused():
    for name in ("nothing", "_audit", "Counter", "proportion"):
        with pytest.raises(KeyError):
            compute.of(name)


def test_the_audit_fields_are_those_that_the_server_writes(tmp_path):
    write = server.auditor(tmp_path / "log")
    write("GET", "health", 200, 1.0, 0)
    assert tuple(json.loads((tmp_path / "log").read_text())) == compute.AUDIT_FIELDS
