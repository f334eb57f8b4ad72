"""The Pareto front of accuracy and latency."""

from __future__ import annotations

from bedside.figures import pareto


def test_a_point_is_on_the_front_unless_another_is_as_fast_and_as_good() -> None:
    points = [{"ms": 1.0, "auc": 0.90}, {"ms": 2.0, "auc": 0.95}, {"ms": 2.0, "auc": 0.93},
              {"ms": 3.0, "auc": 0.95}]
    assert [p["front"] for p in pareto._with_front(points)] == [True, True, False, False]
    # Equal points do not exclude one another.
    assert all(p["front"] for p in pareto._with_front(points[:1] * 2))
