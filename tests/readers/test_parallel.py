"""Results come in order, a few items ahead, and progress is reported in steps."""

from __future__ import annotations

import threading

from bedside.readers.parallel import Throttle, ordered_map


def test_results_come_in_order_and_few_items_are_taken_ahead() -> None:
    taken: list[int] = []
    release = threading.Event()

    def items():
        for i in range(1000):
            taken.append(i)
            yield i

    def slow(i: int) -> int:
        release.wait(10)
        return -i

    results = ordered_map(slow, items(), 2)
    release.set()
    assert next(results) == 0
    assert len(taken) < 100
    assert list(results) == [-i for i in range(1, 1000)]


def test_progress_is_reported_about_fifty_times_and_at_the_end() -> None:
    calls: list[tuple[str, int, int]] = []
    throttle = Throttle(lambda *call: calls.append(call), "read", 1000)
    for _ in range(1000):
        throttle.tick()
    assert 40 <= len(calls) <= 60 and calls[-1] == ("read", 1000, 1000)
