"""``bedside serve``."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path

from bedside.cli import output
from bedside.core import codec
from bedside.core.errors import BadInput, MissingComponent
from bedside.runtime import store as stores
from bedside.runtime.bundle.manifest import NOTICE
from bedside.runtime.bundle.reader import Bundle
from bedside.runtime.device import Device


def serve(sources: list[Path], *, host: str, port: int, token_file: Path | None,
          allow_host: tuple[str, ...], tls_cert: Path | None, tls_key: Path | None,
          max_upload_mb: int, queue: int, timeout_s: float, audit_log: Path | None,
          threads: int | None, trust: tuple[Path, ...],
          store: Path | None) -> None:
    """Verify and self-test every bundle, then serve until stopped."""
    import importlib.util

    missing = [n for n in ("fastapi", "uvicorn") if importlib.util.find_spec(n) is None]
    if missing:
        raise MissingComponent(f"the server needs {', '.join(missing)}, not installed here",
                               remedy="Install it: pip install 'bedside[server]'.")
    from bedside.services.address import reached_at
    from bedside.services.guard import Limits
    from bedside.services.inference_queue import Line
    from bedside.services.rest.serving import LOOPBACK, Settings, server

    place = stores.default_store() if store is None else store
    token = _token(token_file) if token_file is not None else None
    if token is None and host not in LOOPBACK:
        token = secrets.token_urlsafe(32)
        output.stderr.print(f"token: {token}", soft_wrap=True, markup=False)
    devices: list[Device] = []
    files: list[tuple[Bundle, bytes]] = []
    try:
        for source in sources or [Path(stores.ACTIVE)]:
            data, where = stores.read_source(source, place)
            bundle = stores.open_trusted(data, place, trust, where)
            if bundle.id in {b.id for b, _ in files}:
                raise BadInput("this bundle is given twice", where=source, remedy="Give it once.")
            devices.append(Device(bundle, threads))
            files.append((bundle, data))
        line = Line(devices, queue, timeout_s)
        ready = server(line, files, Settings(
            host, port, token, allow_host, tls_cert, tls_key, audit_log,
            Limits(upload_bytes=max_upload_mb * 1_000_000,
                   held_bytes=max(48, max_upload_mb) * 1_000_000)), stores.trusted(place, trust))
        scheme = "https" if tls_cert is not None else "http"
        reached = reached_at(host)
        shown = f"[{reached}]" if ":" in reached else reached
        for device in devices:
            output.stderr.print(
                f"{device.bundle.id} {device.bundle.manifest.name}, {device.bundle.signed}; "
                f"self-test passed", soft_wrap=True, markup=False)
        if tls_cert is None and host not in LOOPBACK:
            output.stderr.print("warning: plain HTTP sends the token and the images unencrypted; "
                                 "give --tls-cert and --tls-key", soft_wrap=True, markup=False)
        output.stderr.print(f"serving on {scheme}://{shown}:{port} (Ctrl-C ends it). {NOTICE}",
                             soft_wrap=True, markup=False)
        # uvicorn ends in order on SIGTERM and then raises it again, which would kill this process
        # before its own children have ended.
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            ready.run()
        except SystemExit:
            raise BadInput("the address cannot be used", where=f"{host}:{port}",
                           remedy="Choose another --host or --port.") from None
        finally:
            line.close()
            signal.signal(signal.SIGTERM, before)
    finally:
        for device in devices:
            device.close()


def _token(path: Path) -> str:
    token = codec.read_text(path).strip()
    if len(token) < 20 or not token.isascii() or any(c.isspace() for c in token):
        raise BadInput("a token is one word of 20 characters at least", where=path,
                       remedy="Make one, as with: openssl rand -hex 32.")
    return token
