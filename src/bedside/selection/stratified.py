"""Selection by a seeded draw that keeps every class's share of the training images."""

from __future__ import annotations

from bedside.selection import Pool, order


def choose(pool: Pool, count: int, seed: int) -> tuple[str, ...]:
    """Return ``count`` ids; the first n hold round(n · share of k) of each class k.

    The next image is always of the class that lags furthest behind its share, so a smaller
    draw is the beginning of a larger one, and a class with a share of 1/n is there from n on.
    """
    waiting: dict[str, list[str]] = {}
    for place in order(seed, len(pool.ids)):
        waiting.setdefault(pool.labels[place], []).append(pool.ids[place])
    sizes = {k: len(v) for k, v in sorted(waiting.items())}
    taken = dict.fromkeys(sizes, 0)
    drawn: list[str] = []
    while len(drawn) < min(count, len(pool.ids)):
        following = len(drawn) + 1
        lag = {k: following * sizes[k] / len(pool.ids) - taken[k]
               for k in sizes if taken[k] < sizes[k]}
        name = max(lag, key=lambda k: lag[k])
        drawn.append(waiting[name][taken[name]])
        taken[name] += 1
    return tuple(drawn)
