"""Files that are no images here are named, with what to do."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest

from bedside import readers
from bedside.core.errors import BadInput
from bedside.readers.file_kinds import HEAD_BYTES, kind_of, of_file


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.png", b"x")
    return out.getvalue()


def tarred():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    return out.getvalue()


@pytest.mark.parametrize(("data", "suffix", "name"), [
    (zipped(), ".zip", "zip archive"), (zipped(), ".xlsx", "Excel"), (zipped(), ".docx", "Word"),
    (gzip.compress(b"x", mtime=0), ".gz", "gzip"), (tarred(), ".tar", "tar archive"),
    (b"%PDF-1.7 ...", ".pdf", "PDF"), (b"\0" * 344 + b"n+1\0", ".nii", "NIfTI"),
    (b"MATLAB 5.0 MAT-file", ".mat", "MATLAB"), (b"\x89HDF\r\n\x1a\n", ".mat", "HDF5"),
    (b"\xff\x0a rest", ".jxl", "JPEG XL"), (b"\0\0\0\x0cJXL \r\n\x87\n", ".jpg", "JPEG XL"),
    (b"\0\0\0\x18ftypheic", ".heic", "HEIC"), (b"\0\0\0\x18ftypisom", ".mp4", "film"),
    (b"RIFF\0\0\0\0WEBPVP8 ", ".webp", "WebP"), (b"GIF89a", ".gif", "GIF")],
    ids=lambda v: v if isinstance(v, str) else "bytes")
def test_a_kind_is_known_by_its_bytes_and_has_a_remedy(data, suffix, name):
    kind = kind_of(data[:HEAD_BYTES], suffix)
    assert name in kind.name
    assert kind.remedy.endswith(".")


@pytest.mark.parametrize("head", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM....",
                                  b"file,label\n", b"\0" * 128 + b"DICM"])
def test_what_is_read_here_is_no_such_kind(head):
    assert kind_of(head) is None


def test_run_says_what_it_was_given(tmp_path):
    (tmp_path / "export.zip").write_bytes(zipped())
    with pytest.raises(BadInput, match="a zip archive, not a data set") as caught:
        readers.detect(tmp_path / "export.zip")
    assert "Unpack it" in caught.value.message
    assert of_file(tmp_path) is None
