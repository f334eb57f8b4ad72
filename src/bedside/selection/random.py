"""Selection by a seeded random draw."""

from __future__ import annotations

from bedside.selection import Pool, order


def choose(pool: Pool, count: int, seed: int) -> tuple[str, ...]:
    """Return ``count`` ids in drawn order; a smaller draw is the beginning of a larger one."""
    return tuple(pool.ids[i] for i in order(seed, len(pool.ids))[:count])
