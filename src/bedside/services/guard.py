"""What every request passes before the application sees it: who asks, how much, how slowly.

Browsers on this machine will send requests for any page they show (CSRF), under any name that
resolves to this machine (DNS rebinding). So the Host must be one that was expected, the Origin,
where there is one, the same as the Host, and a cross-site request is refused whatever it asks.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from bedside.services.app.files import HEADERS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Types that a form of any page may send without asking first.
_FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take. ``held_bytes``: of all uploads that are in memory at once."""

    upload_bytes: int = 16_000_000
    held_bytes: int = 48_000_000
    body_s: float = 10.0


class _Refused(Exception):
    def __init__(self, status: int, fault: str, remedy: str) -> None:
        self.status, self.fault, self.remedy = status, fault, remedy


class Guard:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        hosts: lower-case host names (without port) under which it may be asked.
        token: what ``Authorization: Bearer`` must hold, or None on a loopback address.
        limits: bounds of uploads.
        audit: called with (method, route, status, milliseconds, bytes received): nothing that
            a client can write text into.
    """

    def __init__(self, app: App, hosts: frozenset[str], token: str | None, limits: Limits,
                 audit: Callable[[str, str, int, float, int], None]) -> None:
        self._app, self._hosts, self._limits, self._audit = app, hosts, limits, audit
        self._token = token.encode() if token is not None else None
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, bound, pass on, and write one line of audit."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started, status, received = time.perf_counter(), 500, 0

        async def answer(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {k.lower() for k, _ in message.get("headers", [])}
                own = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()
                       if k.lower().encode() not in there]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        body = b""
        try:
            self._check(scope)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                body = await self._body(scope, receive)
                received = len(body)
            await self._app(scope, _replay(body, receive), answer)
        except _Refused as refused:
            await _refuse(answer, refused)
        finally:
            self._held -= len(body)
            self._audit(scope["method"], route_of(scope["path"]), status,
                        (time.perf_counter() - started) * 1e3, received)

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in headers and name in (b"host", b"origin", b"authorization"):
                raise _Refused(403, f"two headers {name.decode()}", "Send one.")
            headers[name] = value
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _name(host) not in self._hosts and not _reached(scope, _name(host)):
            raise _Refused(403, "asked under another host name",
                           "Use the address that bedside serve printed, or allow the name "
                           "with --allow-host.")
        origin = headers.get(b"origin")
        if origin is not None:
            scheme, _, place = origin.decode("latin-1").lower().partition("://")
            if place != host or scheme not in ("http", "https"):
                raise _Refused(403, "asked by a page of another origin", "Open the server's own.")
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            raise _Refused(403, "asked by a page of another site", "Open the server's own.")
        if b"upgrade" in headers:
            raise _Refused(403, "no protocol but HTTP is spoken here", "Send a plain request.")
        kind = headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
        if kind in _FORMS:
            raise _Refused(403, "forms are not taken",
                           "Send the image itself, with its own Content-Type.")
        if self._token is not None:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, b"Bearer " + self._token):
                raise _Refused(403, "no token, or a wrong one",
                               "Send 'Authorization: Bearer' with the token.")

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, held to its size and time; too much or too slow ends it."""
        most = self._limits.upload_bytes
        length = dict(scope["headers"]).get(b"content-length", b"0")
        large = _Refused(413, f"more than {most} bytes", "Send a smaller image.")
        if not length.isdigit() or int(length) > most:
            raise large
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refused(408, "the upload broke off", "Send it again.")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > most:
                        raise large
                    if self._held + len(chunk) > self._limits.held_bytes:
                        raise _Refused(429, "too many uploads at once", "Send it again later.")
                    self._held += len(chunk)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            self._held -= sum(map(len, chunks))
            raise _Refused(408, f"the upload took longer than {self._limits.body_s:g} s",
                           "Send it again.") from None
        except _Refused:
            self._held -= sum(map(len, chunks))
            raise


def _name(host: str) -> str:
    """A Host header's name without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _reached(scope: Scope, name: str) -> bool:
    """Whether a Host is the very address that the connection came to. Where a server listens on
    every address, each works; a name that another site points here never does.
    """
    try:
        return ip_address(name.strip("[]")) == ip_address((scope.get("server") or ("",))[0])
    except ValueError:
        return False


def route_of(path: str) -> str:
    """What the audit calls a path: one of a few words, never a client's own text."""
    first = path.split("/")[1] if path.startswith("/") else ""
    known = ("predict", "models", "health", "openapi.json", "app.json", "assets", "bundles")
    return f"/{first}" if first in known or not first else "/other"


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(send: Send, refused: _Refused) -> None:
    text = json.dumps({"error": {"fault": refused.fault, "remedy": refused.remedy}}).encode()
    headers = [(b"content-type", b"application/json"),
               (b"content-length", str(len(text)).encode())]
    if refused.status in (408, 413, 429):
        headers.append((b"connection", b"close"))
    if refused.status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
