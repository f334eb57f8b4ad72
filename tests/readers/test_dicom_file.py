"""Files that ask for much, and damaged ones: refused, quickly, and nothing else suffers."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
from dicom_fixture import as_bytes, bombs, dataset, mutants

from bedside.core.errors import BadInput
from bedside.readers import dicom_header, sandbox
from bedside.readers.dicom import listing
from bedside.readers.dicom_file import read_file

GOOD = as_bytes(dataset(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)))


@pytest.fixture(scope="module")
def pool():
    shared = sandbox.Pool(1)
    read_file(GOOD, pool=shared)  # the worker has started
    yield shared
    shared.close()


def resident() -> int:
    """The resident size of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def used(pool: sandbox.Pool) -> float:
    """Processor seconds of the idle worker."""
    worker = pool._idle.get()
    pool._idle.put(worker)
    assert worker is not None, "the worker did not survive"
    return worker.processor_seconds()


def worker_peak(pool: sandbox.Pool) -> int:
    """Largest resident size of the idle worker, in bytes."""
    worker = pool._idle.get()
    pool._idle.put(worker)
    if worker is None:
        return 0
    with open(f"/proc/{worker._process.pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.mark.parametrize("name", bombs())
def test_bombs(name: str, pool: sandbox.Pool) -> None:
    data = bombs()[name]
    start, before = used(pool), resident()
    with pytest.raises(BadInput) as caught:
        read_file(data, pool=pool)
    # Processor time: a busy machine is not the reader's fault. The clock's is in docs/proof.
    assert used(pool) - start < 2.0
    assert caught.value.remedy
    assert worker_peak(pool) < 512 << 20
    assert resident() - before < 64 << 20
    assert read_file(GOOD, pool=pool).frames[0].shape == (64, 64)


def test_mutants_are_all_named_and_good_files_all_read(tmp_path) -> None:
    names = []
    for name, data in mutants(60, seed=7):
        (tmp_path / name).write_bytes(data)
        names.append(name)
    for i in range(5):
        (tmp_path / f"good{i}.dcm").write_bytes(GOOD)
    found = listing(tmp_path)
    read = {name for name, _ in found.entries}
    told = {s.file: s.reason for s in (*found.aside, *found.faulty)}
    assert read | set(told) == {*names, *(f"good{i}.dcm" for i in range(5))}
    assert not read & set(told) and all(told.values())
    assert {f"good{i}.dcm" for i in range(5)} <= read
    for name in sorted(read):
        try:
            image = read_file(tmp_path / name)
        except BadInput as error:
            assert error.where and name in error.where and error.remedy
        else:
            assert image.frames[0].size and image.frames[0].dtype in (np.uint8, np.uint16)


def test_without_skip_bad_the_first_is_an_error_that_names_the_file(tmp_path) -> None:
    (tmp_path / "a.dcm").write_bytes(GOOD)
    (tmp_path / "b.dcm").write_bytes(GOOD[:-2048].replace(b"MONOCHROME2", b"MONOCHROMEx"))
    with pytest.raises(BadInput, match=r"b\.dcm: an unknown photometric"):
        listing(tmp_path, skip_bad=False)
    assert [s.file for s in listing(tmp_path).faulty] == ["b.dcm"]


@pytest.mark.parametrize(("head", "known"), [
    (bytes(128) + b"DICM", True), (b"\x08\0\x05\0CS\x0a\0ISO_IR", True),
    (b"\x89PNG\r\n\x1a\n", False), (b"", False)])
def test_dicom_is_known_by_its_first_bytes(head, known):
    assert dicom_header.looks_like_dicom(head) is known
