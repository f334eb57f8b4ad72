"""Synthetic ultrasound images a second on one core, and where the time goes.

    python benchmarks/phantom_rate.py [IMAGES] [--save phantom-rate]

CPU time of the process is measured, so that other work on the machine does not count. Exits
with 1 below the 100 images/s that the README claims.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# One thread, whatever the libraries would like to take.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from common import finish, positional  # noqa: E402

from bedside.core.study import PhantomConfig  # noqa: E402
from bedside.synthetic import phantom  # noqa: E402

CLAIM_PER_S = 100


def timed(name: str, spent: dict[str, float]) -> None:
    """Wrap a function that ``generate`` calls, so that its CPU time is added up."""
    plain: Callable[..., object] = getattr(phantom, name)

    def wrapped(*args: object, **options: object) -> object:
        start = time.process_time()
        try:
            return plain(*args, **options)
        finally:
            spent[name] = spent.get(name, 0.0) + time.process_time() - start

    setattr(phantom, name, wrapped)


def cpu_seconds(config: PhantomConfig) -> float:
    start = time.process_time()
    for index in range(config.images):
        phantom.generate(config, 0, index)
    return time.process_time() - start


def main() -> int:
    words = positional()
    config = PhantomConfig(images=int(words[0]) if words else 500)
    phantom.generate(config, 0, 0)  # tables and point-spread function are made once
    total = cpu_seconds(config)
    rate = config.images / total
    spent: dict[str, float] = {}
    for name in ("draw", "breast", "place_lesion", "add_lesion", "complex_envelope", "amplitude",
                 "log_compress"):
        timed(name, spent)
    split_total = cpu_seconds(config)
    spent["rest"] = split_total - sum(spent.values())
    finish({"what": "synthetic ultrasound images a second on one core (CPU time)",
            "images": config.images, "size_px": [config.height_px, config.width_px],
            "images_per_s": round(rate, 1), "goal_images_per_s": CLAIM_PER_S,
            "ms_per_image": {n: round(1e3 * t / config.images, 3)
                             for n, t in sorted(spent.items(), key=lambda item: -item[1])}})
    return 0 if rate >= CLAIM_PER_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
