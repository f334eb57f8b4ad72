"""The pixel store that the data stage writes: order, bits, and that it is made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_fixture import folder, npz, save, texture

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig, Study
from bedside.core.types import Preprocess
from bedside.runfolder import stored
from bedside.runtime.preprocess import to_tensor
from bedside.stages.data.cache import build_cache
from bedside.stages.data.stage import prepare

SPEC = Preprocess(16, 24)


def made(run: Path, source: Path, **options: object) -> None:
    prepare(run, Study(data=DataConfig(source=str(source), **options)))  # type: ignore[arg-type]


def test_the_store_holds_what_the_device_sees(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", {"a": 40, "b": 9})
    run = tmp_path / "run"
    made(run, root)
    for channels in (1, 3):
        spec = Preprocess(16, 24, channels)
        build_cache(run, spec)
        with stored.pixel_store(run, spec) as store:
            assert store.ids == tuple(c.id for c in stored.cases(run))
            assert store.index.dtype == "uint8"
            for case in stored.cases(run):
                np.testing.assert_array_equal(store.tensor(case.id),
                                              to_tensor(root / case.file, spec))


@pytest.mark.parametrize("normalise", ["max", "dtype"])
def test_sixteen_bits_beside_eight(tmp_path: Path, normalise: str) -> None:
    root = folder(tmp_path / "set", {"a": 6, "b": 6})
    save(root / "a/deep.png", texture(99).astype(np.uint16) * 251)
    run, spec = tmp_path / "run", Preprocess(16, 24, normalise=normalise)  # type: ignore[arg-type]
    made(run, root)
    build_cache(run, spec)
    with stored.pixel_store(run, spec) as store:
        assert store.index.dtype == "uint16"
        for case in stored.cases(run):
            np.testing.assert_array_equal(store.tensor(case.id), to_tensor(root / case.file, spec))


def test_npz(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made(run, npz(tmp_path / "x.npz"))
    build_cache(run, Preprocess(28, 28))
    with stored.pixel_store(run, Preprocess(28, 28)) as store:
        for case in stored.cases(run):
            part, index = case.file.rstrip("]").split("_images[")
            expected = texture(int(index) + (12 if part == "val" else 0), 28, 28)
            np.testing.assert_array_equal(store.pixels(case.id)[..., 0], expected)


def test_a_finished_store_is_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made(run, folder(tmp_path / "set"))
    store = build_cache(run, SPEC) / "pixels.bin"
    before = store.stat().st_mtime_ns
    said: list[tuple] = []
    build_cache(run, SPEC, progress=lambda *a: said.append(a))
    assert store.stat().st_mtime_ns == before and said == [("cache", 16, 16)]


def test_set_aside_cases_are_not_stored(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    save(root / "benign/twin.png", texture(1000))
    run = tmp_path / "run"
    made(run, root)
    build_cache(run, SPEC)
    with stored.pixel_store(run, SPEC) as store:
        assert len(store.ids) == 15 and len(stored.cases(run)) == 17


def test_a_vanished_image(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    run = tmp_path / "run"
    made(run, root)
    (root / "benign/003.png").unlink()
    with pytest.raises(BadInput, match=r"003\.png.*cannot be read"):
        build_cache(run, SPEC)
    assert not list((run / "cache").rglob("pixels.bin"))


def test_a_vanished_data_set(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    run = tmp_path / "run"
    made(run, root)
    root.rename(tmp_path / "moved")
    with pytest.raises(BadInput, match="no longer here"):
        build_cache(run, SPEC)


def test_black_once_resized(tmp_path: Path) -> None:
    root = folder(tmp_path / "set")
    faint = np.zeros((200, 200), np.uint8)
    faint[0, 0] = 1
    save(root / "benign/faint.png", faint)
    run = tmp_path / "run"
    made(run, root)
    with pytest.raises(BadInput, match=r"faint\.png: all black once resized"):
        build_cache(run, SPEC)
