"""The cache of compiled artefacts."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.targets import compiled


def test_nothing_is_kept_where_making_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("BEDSIDE_CACHE", str(tmp_path))

    def make(folder):
        (folder / "half").write_text("x")
        raise BadInput("no")

    with pytest.raises(BadInput):
        compiled.cached("kind", ("a",), make)
    assert list((tmp_path / "kind").iterdir()) == []
