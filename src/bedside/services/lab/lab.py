"""The running lab: its addresses, certificates and servers in the local network."""

from __future__ import annotations

import asyncio
import socket
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.core.errors import BadInput
from bedside.services.address import own_address
from bedside.services.lab.certificates import Certificates, certificates, default_folder
from bedside.services.lab.plan import Plan
from bedside.services.lab.server import Place, join_url, lab_app, new_code
from bedside.services.lab.session import Hold


@dataclass(frozen=True)
class Served:
    """A lab that is ready to run."""

    url: str
    workbench: str
    place: Place
    app: Any
    ports: tuple[int, int | None]
    certificates: Certificates | None


def prepare(plan: Plan, port: int, address: str | None = None, http_only: bool = False,
            folder: Path | None = None, hold: Hold = nullcontext) -> Served:
    """Prepare addresses, certificates and the app of a lab; ``hold`` is held while it publishes.

    Raises:
        BadInput: a port that is taken, or an address no certificate may name.
    """
    host = address or own_address()
    ports = (port, None if http_only else port + 1)
    for one in ports:
        if one is not None:
            _free(one)
    made = None if http_only else certificates(
        sorted({host, "127.0.0.1", "localhost"}), folder or default_folder())
    hosts = frozenset(f"{h}:{p}" for h in (host, "127.0.0.1", "localhost")
                      for p in ports if p is not None)
    place = Place(f"http://{host}:{port}", f"https://{host}:{port + 1}" if made else None,
                  made.authority if made else None, made.fingerprint if made else None, hosts)
    code = new_code()
    return Served(join_url(place, code), f"http://127.0.0.1:{port}/workbench", place,
                  lab_app(plan, place, code, hold), ports, made)


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError as error:
            raise BadInput(f"port {port} cannot be used ({error.strerror})", where="--port",
                           remedy="Choose another --port.") from None


def servers(served: Served) -> list[Any]:
    """Return the uvicorn servers: plain HTTP, and TLS where there is a certificate."""
    import uvicorn

    from bedside.services.slow_clients import SlowClientProtocol

    # A phone that lost its network sends again after a broken connection, but takes a status
    # 4xx for a refusal; and it may be away for a while in the middle of a download. Idle
    # connections are closed before the clock for headers strikes.
    protocol = type("LabProtocol", (SlowClientProtocol,), {"late": b"", "write_s": 30.0})
    common: dict[str, Any] = {"host": "0.0.0.0", "log_level": "warning", "access_log": False,
                              "server_header": False, "limit_concurrency": 200, "ws": "none",
                              "timeout_keep_alive": 8, "http": protocol}
    made = [uvicorn.Server(uvicorn.Config(served.app, port=served.ports[0], **common))]
    if served.certificates is not None and served.ports[1] is not None:
        made.append(uvicorn.Server(uvicorn.Config(
            served.app, port=served.ports[1], ssl_certfile=str(served.certificates.certificate),
            ssl_keyfile=str(served.certificates.key), **common)))
    return made


def serve(served: Served) -> None:
    """Run the servers until Ctrl-C."""
    async def both() -> None:
        await asyncio.gather(*(s.serve() for s in servers(served)))

    asyncio.run(both())
