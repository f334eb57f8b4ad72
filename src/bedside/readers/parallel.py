"""Process many images in parallel, in order and in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

from bedside.core.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 16


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int = 2
                ) -> Iterator[Result]:
    """Yield the results of ``function`` in the order of ``items``, a few items ahead of the reader.

    Threads, not processes: decoding, resizing and hashing run outside Python's lock, nothing
    is pickled, and a caller's script needs no ``if __name__ == "__main__"``.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="images") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def one_blas_thread() -> threadpool_limits:
    """Return a context in which numpy multiplies on the calling thread alone.

    The products of the data stage are small and run in several threads already: BLAS threads of
    their own would mostly wait for each other, spinning (measured: ten times the time).
    """
    return threadpool_limits(limits=1, user_api="blas")


class Throttle:
    """Report progress about fifty times over a stage, and at its end."""

    def __init__(self, progress: Progress | None, stage: str, total: int) -> None:
        self._progress, self._stage, self._total = progress, stage, total
        self._step = max(1, total // 50)
        self._done = 0

    def tick(self) -> None:
        """Count one finished unit."""
        self._done += 1
        if self._progress and (self._done % self._step == 0 or self._done == self._total):
            self._progress(self._stage, self._done, self._total)
