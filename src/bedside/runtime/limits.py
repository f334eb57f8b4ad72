"""Memory limit of child processes: a hostile or broken model ends only its own process.

The limit is on private writable memory (``RLIMIT_DATA``), which is what a model's tensors are
allocated from. Not on the address space (``RLIMIT_AS``): runtimes map weights and reserve
ranges of it many times larger than what they use. Not on the resident size, which Linux does
not limit for a process. Control groups would be better still and need rights that a user does
not have. Where memory runs out all the same, the system ends a process that asked for it
(``oom_score_adj``) before any other.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

VARIABLE = "BEDSIDE_MEMORY_MB"
SHARE = 0.75


def limit_bytes() -> int | None:
    """Return ``BEDSIDE_MEMORY_MB``, else 3/4 of this machine's memory; None where unknown."""
    given = os.environ.get(VARIABLE, "")
    if given.isdecimal() and int(given) > 0:
        return int(given) * 1_000_000
    try:
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * SHARE)
    except (ValueError, OSError, AttributeError):
        return None


def limit_memory() -> None:
    """Apply the limit to this process and what it starts (Linux only)."""
    limit = limit_bytes()
    if sys.platform != "linux" or limit is None:
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def out_of_memory() -> str:
    """Return the reason for a row whose process exceeded the limit."""
    limit = limit_bytes()
    size = f" of {limit / 1e9:.1f} GB" if limit else ""
    return (f"it asked for more memory than the limit{size}; {VARIABLE} in the environment "
            "sets another")
