"""The worker of :mod:`bedside.readers.sandbox`: a loop that answers requests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from bedside.core import registry
from bedside.core.errors import BedsideError, MissingComponent
from bedside.readers.sandbox import HEAD


def _limit(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    used = 0
    with contextlib.suppress(OSError, ValueError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = memory_bytes + used
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(request: dict[str, Any], blob: bytes) -> tuple[dict[str, Any], list[bytes], bool]:
    """Return the reply, its arrays' bytes, and whether the worker can continue."""
    try:
        function = registry.resolve(request["function"])
        value, arrays = function(blob, **request["arguments"])
        plain = [np.ascontiguousarray(a, a.dtype.newbyteorder("<")) for a in arrays]
        head = {"value": value, "arrays": [{"dtype": a.dtype.str, "shape": a.shape} for a in plain]}
        return head, [a.tobytes() for a in plain], True
    except MissingComponent as error:
        return {"missing": error.fault, "remedy": error.remedy}, [], True
    except BedsideError as error:
        return {"fault": error.fault, "remedy": error.remedy}, [], True
    except MemoryError:
        return {"fault": "needs more memory than a file may take"}, [], False
    except RecursionError:
        return {"fault": "nested too deeply"}, [], True
    except Exception as error:
        # Only the type: parsers put the values they stumble on into their messages, and those
        # may name a patient.
        return {"fault": f"damaged or not supported ({type(error).__name__})"}, [], True


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def main(argv: list[str]) -> int:
    """Serve requests until the parent closes the pipe."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Native decoders print; nothing of that may get between the replies.
    silent = os.open(os.devnull, os.O_RDWR)
    os.dup2(silent, 0)
    os.dup2(silent, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    _limit(int(argv[0]))
    replies.write(b"!")
    replies.flush()
    alive = True
    while alive:
        try:
            text_size, blob_size = HEAD.unpack(_exactly(requests, HEAD.size))
            request = json.loads(_exactly(requests, text_size))
            blob = _exactly(requests, blob_size)
        except EOFError:
            break
        head, parts, alive = _answer(request, blob)
        head["last"] = not alive
        text = json.dumps(head).encode()
        replies.write(HEAD.pack(len(text), sum(map(len, parts))) + text)
        for part in parts:
            replies.write(part)
        replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
