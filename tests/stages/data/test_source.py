"""The data set of a run is found again, or the message says where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.stages.data.source import SOURCE, Source, dataset_root


def test_the_data_set_is_found_absolute_relative_or_named_in_a_message(tmp_path: Path) -> None:
    data, run = tmp_path / "set", tmp_path / "run"
    for folder in (data, run / "data" / "phantom"):
        folder.mkdir(parents=True)
    for root, expected in ((str(data), data), ("data/phantom", run / "data" / "phantom")):
        (run / "data" / SOURCE).write_text(codec.to_json(Source("folder", root)))
        assert dataset_root(run) == expected
    (run / "data" / SOURCE).write_text(codec.to_json(Source("folder", str(tmp_path / "gone"))))
    with pytest.raises(BadInput, match="no longer here"):
        dataset_root(run)
