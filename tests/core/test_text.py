"""Numbers, units and counts as text."""

from __future__ import annotations

import pytest

from bedside.core import text


@pytest.mark.parametrize(("value", "expected"), [
    (0.12345, "0.123"), (-0.5, "−0.5"), (None, "–"), (1.5e-7, "1.5·10⁻⁷"), (123456.0, "1.23·10⁵"),
    (0.0, "0")])
def test_numbers_are_typographic(value: float | None, expected: str) -> None:
    assert text.number(value) == expected


def test_differences_carry_a_true_sign() -> None:
    assert text.points(-0.005) == "−0.5 points"
    assert text.points(-0.0001) == "±0.0 points"
    assert text.delta(0.0123) == "+0.012"


def test_units_and_counts() -> None:
    assert [text.megabytes(b) for b in (949_999, 950_000, 12_345_678)] == [
        "0.95 MB", "0.9 MB", "12.3 MB"]
    assert [text.milliseconds(v) for v in (1.234, 12.34, 123.4)] == ["1.23 ms", "12.3 ms", "123 ms"]
    assert [text.duration(s) for s in (59.4, 95, 7260)] == ["59 s", "1 min 35 s", "2 h 1 min"]
    assert [text.magnitude(v) for v in (12, 1234, 5.6e6, 7e9)] == ["12", "1.23 k", "5.6 M", "7 G"]
    assert [text.plural(1, "case"), text.plural(1200, "case"), text.plural(2, "child", "children")
            ] == ["1 case", "1,200 cases", "2 children"]
