"""Run the server: sockets, TLS, slow clients, the audit log, a graceful end."""

from __future__ import annotations

import json
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from bedside.core.errors import BadInput
from bedside.runtime.bundle.reader import Bundle
from bedside.services.address import WILDCARDS
from bedside.services.guard import Guard, Limits
from bedside.services.inference_queue import Line
from bedside.services.rest.server import application
from bedside.services.slow_clients import PatientProtocol

LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECTIONS = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server listens. ``token`` is needed beyond the loopback addresses."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    audit_log: Path | None = None
    limits: Limits = field(default_factory=Limits)
    header_s: float = 10.0
    write_s: float = 10.0


def auditor(path: Path | None) -> Callable[[str, str, int, float, int], None]:
    """One JSON line a request: time, method, route, status, milliseconds, bytes. No answer, no
    file name, no address: nothing that leads to a patient. A disk that fills up is said once on
    standard error, and answers go on.
    """
    if path is None:
        return lambda *_: None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise BadInput(f"the audit log cannot be written ({error.strerror})", where=path,
                       remedy="Give --audit-log a file in a folder that can be written."
                       ) from None
    failed: list[Path] = []

    def write(method: str, route: str, status: int, ms: float, size: int) -> None:
        known = method if method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"
                                     ) else "OTHER"
        line = json.dumps({
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "method": known,
            "route": route, "status": status, "ms": round(ms, 1), "bytes": size})
        try:
            log.write(line + "\n")
        except OSError as error:
            if not failed:
                failed.append(path)
                print(f"the audit log cannot be written ({error.strerror}): {path}",
                      file=sys.stderr, flush=True)

    return write


def server(line: Line, bundles: Sequence[tuple[Bundle, bytes]], settings: Settings,
           trusted: Iterable[bytes] = ()) -> uvicorn.Server:
    """The server, ready to run.

    Raises:
        BadInput: an address beyond loopback without a token, TLS files that do not read, or an
            audit log that cannot be written.
    """
    if settings.host not in LOOPBACK and not settings.token:
        raise BadInput("an address that others reach needs a token", where="--host",
                       remedy="Give --token-file.")
    if (settings.certificate is None) != (settings.private_key is None):
        raise BadInput("TLS needs a certificate and its key", where="--tls-cert, --tls-key",
                       remedy="Give both.")
    if settings.certificate is not None and settings.private_key is not None:
        _check_tls(settings.certificate, settings.private_key)
    hosts = {"127.0.0.1", "localhost", "[::1]", settings.host.lower(),
             *(h.lower() for h in settings.hosts)} - set(WILDCARDS)
    guarded = Guard(application(line, bundles, trusted), frozenset(hosts),
                    settings.token, settings.limits, auditor(settings.audit_log))
    protocol = type("Protocol", (PatientProtocol,),
                    {"header_s": settings.header_s, "write_s": settings.write_s})
    return uvicorn.Server(uvicorn.Config(
        guarded, host=settings.host, port=settings.port, http=protocol, ws="none",
        log_config=None, access_log=False, server_header=False, date_header=False,
        proxy_headers=False, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=10,
        ssl_certfile=settings.certificate, ssl_keyfile=settings.private_key))


def _check_tls(certificate: Path, key: Path) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise BadInput(f"the certificate and its key do not fit ({type(error).__name__})",
                       where=certificate, remedy="Give PEM files that belong together.") from None
