"""Pseudonyms and UIDs follow from the key, the kind and the text, and from nothing else."""

from __future__ import annotations

from pydicom.uid import UID

from bedside.readers.keyed import MAX_SHIFT_DAYS, Key, patient_identity


def test_names_follow_from_key_kind_and_text() -> None:
    key, other = Key(bytes(32)), Key(bytes(31) + b"\1")
    assert key.patient(" 123 ") == key.patient("123") != other.patient("123")
    assert key.name("file", "a") != key.name("folder", "a") and len(key.name("file", "a")) == 16
    assert UID(key.uid("1.2.3")).is_valid and len(key.uid("1.2.3")) <= 44
    assert all(1 <= key.shift_days(str(i)) <= MAX_SHIFT_DAYS for i in range(200))


def test_an_id_stands_with_its_issuer() -> None:
    assert patient_identity(" 1 ", "A") == "1^^^A"
    assert (patient_identity("1"), patient_identity("", "A")) == ("1", "")
