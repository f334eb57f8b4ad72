"""The user's key: closed to others, and the UIDs that follow from it."""

from __future__ import annotations

import pydicom
import pytest
from deid_fixture import KEY, mode

from bedside.core.errors import BadInput
from bedside.deid.key import Key, find_key, keep_key, new_key


def test_the_key_is_made_closed_and_kept(tmp_path):
    assert find_key(tmp_path / "private") is None
    first = new_key()
    keep_key(tmp_path / "private", first)
    assert mode(tmp_path / "private") == 0o700
    assert mode(tmp_path / "private" / "deid.key") == 0o600
    assert find_key(tmp_path / "private") == first
    assert "secret" not in repr(first)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620])
def test_an_open_key_is_refused(tmp_path, bits):
    keep_key(tmp_path / "private", new_key())
    (tmp_path / "private" / "deid.key").chmod(bits)
    with pytest.raises(BadInput, match="other users may read this key"):
        find_key(tmp_path / "private")


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "zz" * 32])
def test_what_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "k"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadInput, match="not a key"):
        find_key(tmp_path / "private", path)


def test_an_open_private_folder_is_refused_unless_it_is_empty(tmp_path):
    (tmp_path / "p").mkdir(mode=0o755)
    (tmp_path / "p").chmod(0o755)
    keep_key(tmp_path / "p", new_key())
    assert mode(tmp_path / "p") == 0o700
    (tmp_path / "p").chmod(0o755)
    with pytest.raises(BadInput, match="other users may open"):
        find_key(tmp_path / "p")


def test_uids_are_valid_and_follow_from_the_key():
    new = KEY.uid("1.2.3")
    assert pydicom.uid.UID(new).is_valid
    assert new == KEY.uid("1.2.3 ")
    assert new != Key(b"y" * 32).uid("1.2.3")
    assert KEY.patient("A") != KEY.patient("B")
