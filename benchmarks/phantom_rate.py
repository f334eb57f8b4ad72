"""Synthetic ultrasound images a second on one core, and where the time goes.

    python benchmarks/phantom_rate.py [IMAGES]

CPU time of the process is measured, so that other work on the machine does not count. Exits
with 1 below the 100 images/s that the README claims.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

# One thread, whatever the libraries would like to take.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

from bedside.data import phantom  # noqa: E402
from bedside.types import PhantomConfig  # noqa: E402

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
    config = PhantomConfig(images=int(sys.argv[1]) if len(sys.argv) > 1 else 500)
    phantom.generate(config, 0, 0)  # tables and point-spread function are made once
    total = cpu_seconds(config)
    rate = config.images / total
    spent: dict[str, float] = {}
    for name in ("draw", "breast", "place_lesion", "add_lesion", "complex_envelope", "amplitude",
                 "log_compress"):
        timed(name, spent)
    split_total = cpu_seconds(config)
    print(f"{config.images} images of {config.height_px}×{config.width_px} on one core: "
          f"{rate:.0f} images/s ({1e3 * total / config.images:.2f} ms each; "
          f"claim {CLAIM_PER_S} images/s, ratio {rate / CLAIM_PER_S:.2f})")
    spent["rest"] = split_total - sum(spent.values())
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:18s} {1e3 * seconds / config.images:6.2f} ms {seconds / split_total:6.1%}")
    return 0 if rate >= CLAIM_PER_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
