"""The running server: sockets, TLS, slow clients, the audit log, a graceful end."""

from __future__ import annotations

import json
import secrets
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.runtime import store as stores
from bedside.runtime.bundle.manifest import NOTICE
from bedside.runtime.bundle.reader import Bundle
from bedside.runtime.device import Device
from bedside.services.address import WILDCARDS, reached_at
from bedside.services.guard import Guard, Limits, Policy
from bedside.services.inference_queue import InferenceQueue
from bedside.services.rest.application import application
from bedside.services.slow_clients import SlowClientProtocol

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


def new_token() -> str:
    """Make up a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """Read the token of ``--token-file``. Raises BadInput where it is short or several words."""
    token = codec.read_text(path).strip()
    if len(token) < 20 or not token.isascii() or any(c.isspace() for c in token):
        raise BadInput("a token is one word of 20 characters at least", where=path,
                       remedy="Make one, as with: openssl rand -hex 32.")
    return token


def serve(sources: Sequence[Path], settings: Settings, *, queue: int, timeout_s: float,
          threads: int | None, trust: tuple[Path, ...], store: Path | None,
          say: Callable[[str], None]) -> None:
    """Verify and self-test every bundle, then answer until stopped.

    Args:
        sources: bundles (files or installed ids); the active one where none is given.
        settings: how the server listens.
        queue: requests that may wait.
        timeout_s: seconds that one inference may take.
        threads: CPU threads.
        trust: public keys that may sign, besides those of the store.
        store: where bundles are installed; this user's by default.
        say: called with each line for the person who started it.

    Raises:
        BadInput: see :func:`server`; a bundle that is given twice, or an address that is taken.
        GateFailed: a bundle does not verify, or its self-test fails.
    """
    folder = stores.default_store() if store is None else store
    devices: list[Device] = []
    files: list[tuple[Bundle, bytes]] = []
    try:
        for source in sources or [Path(stores.ACTIVE)]:
            data, where = stores.read_source(source, folder)
            bundle = stores.open_trusted(data, folder, trust, where)
            if bundle.id in {b.id for b, _ in files}:
                raise BadInput("this bundle is given twice", where=source, remedy="Give it once.")
            devices.append(Device(bundle, threads))
            files.append((bundle, data))
        waiting = InferenceQueue(devices, queue, timeout_s)
        ready = server(waiting, files, settings, stores.trusted(folder, trust))
        scheme = "https" if settings.certificate is not None else "http"
        reached = reached_at(settings.host)
        shown = f"[{reached}]" if ":" in reached else reached
        for device in devices:
            say(f"{device.bundle.id} {device.bundle.manifest.name}, {device.bundle.signed}; "
                "self-test passed")
        if settings.certificate is None and settings.host not in LOOPBACK:
            say("warning: plain HTTP sends the token and the images unencrypted; give --tls-cert "
                "and --tls-key")
        say(f"serving on {scheme}://{shown}:{settings.port} (Ctrl-C ends it). {NOTICE}")
        # uvicorn ends in order on SIGTERM and then raises it again, which would kill this process
        # before its own children have ended.
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            ready.run()
        except SystemExit:
            raise BadInput("the address cannot be used", where=f"{settings.host}:{settings.port}",
                           remedy="Choose another --host or --port.") from None
        finally:
            waiting.close()
            signal.signal(signal.SIGTERM, before)
    finally:
        for device in devices:
            device.close()


def auditor(path: Path | None) -> Callable[[str, str, int, float, int], None]:
    """Return a writer of the audit log, one JSON line a request.

    A line holds time, method, route, status, milliseconds and bytes: no answer, no file name, no
    address, nothing that leads to a patient. A disk that fills up is reported once on standard
    error, and answers go on.
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


def server(line: InferenceQueue, bundles: Sequence[tuple[Bundle, bytes]], settings: Settings,
           trusted: Iterable[bytes] = ()) -> uvicorn.Server:
    """Return the server, ready to run.

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
    guarded = Guard(application(line, bundles, trusted),
                    Policy(frozenset(hosts), settings.token, own_address=True,
                           limits=settings.limits), auditor(settings.audit_log))
    protocol = type("Protocol", (SlowClientProtocol,),
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
