"""The guard in front of every server: who may ask, how much and how slowly.

Browsers on this machine send requests for any page they show (CSRF), under any name that resolves
to this machine (DNS rebinding). So the Host must be one that was expected, the Origin, where there
is one, the same as the Host, and a cross-site request is refused whatever it asks. The server,
the device lab and the review page differ in their :class:`Policy` alone.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from bedside.services.app.files import HEADERS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[bytes, bytes]

# Types that a form of any page may send without asking first.
_FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
_WITH_BODY = ("POST", "PUT", "PATCH")


class Refused(Exception):
    """A request that is not passed on, with its HTTP status."""

    def __init__(self, status: int, fault: str, remedy: str = "") -> None:
        self.status, self.fault, self.remedy = status, fault, remedy


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of uploads. ``held_bytes``: of all that are in memory at once.

    ``late_status``: for an upload that takes longer than ``body_s``.
    """

    upload_bytes: int = 16_000_000
    held_bytes: int = 48_000_000
    body_s: float = 10.0
    late_status: int = 408


def fault_json(refused: Refused) -> tuple[str, bytes]:
    """Render a refusal as every fault of the server looks."""
    return "application/json", json.dumps(
        {"error": {"fault": refused.fault, "remedy": refused.remedy}}).encode()


async def everyone(scope: Scope, headers: Headers) -> None:
    """Admit whoever passed the policy's other checks."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask, and what a request may take.

    ``hosts``: lower-case Hosts under which it may be asked; one without a port stands for any.
    ``own_address``: also the very address that a connection came to.
    ``token``: what ``Authorization: Bearer`` must hold, or None.
    ``pages_only``: only the server's own pages change anything, so a change needs an Origin; else
    programs ask too, which send none, and forms and pages of other sites are refused.
    ``admit``: called before a body is read; raises :class:`Refused`.
    ``render``: content type and body of a refusal.
    ``headers``: added to answers that lack them.
    """

    hosts: frozenset[str]
    token: str | None = None
    own_address: bool = False
    pages_only: bool = False
    limits: Limits = Limits()
    admit: Callable[[Scope, Headers], Awaitable[None]] = everyone
    render: Callable[[Refused], tuple[str, bytes]] = fault_json
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


class Guard:
    """ASGI middleware around a whole application.

    Args:
        app: the application.
        policy: who may ask, and what a request may take.
        audit: called with (method, route, status, milliseconds, bytes received): nothing that
            a client can write text into.
    """

    def __init__(self, app: App, policy: Policy,
                 audit: Callable[[str, str, int, float, int], None] | None = None) -> None:
        self._app, self._policy, self._limits = app, policy, policy.limits
        self._audit = audit or (lambda *_: None)
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
                own = [(k.lower().encode(), v.encode()) for k, v in self._policy.headers.items()
                       if k.lower().encode() not in there]
                message["headers"] = [*message.get("headers", []), *own]
            await send(message)

        body = b""
        try:
            headers = _headers(scope)
            check(self._policy, scope, headers)
            await self._policy.admit(scope, headers)
            if scope["method"] in _WITH_BODY:
                body = await self._body(headers, receive)
                received = len(body)
            await self._app(scope, _replay(body, receive), answer)
        except Refused as refused:
            await _refuse(answer, refused, self._policy.render)
        finally:
            self._held -= len(body)
            self._audit(scope["method"], route_of(scope["path"]), status,
                        (time.perf_counter() - started) * 1e3, received)

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        """Return the whole body, held to its size and time; too much or too slow ends it."""
        most = self._limits.upload_bytes
        length = headers.get(b"content-length", b"0")
        large = Refused(413, f"more than {most} bytes", "Send a smaller image.")
        if not length.isdigit() or int(length) > most:
            raise large
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(408, "the upload broke off", "Send it again.")
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > most:
                        raise large
                    if self._held + len(chunk) > self._limits.held_bytes:
                        raise Refused(429, "too many uploads at once", "Send it again later.")
                    self._held += len(chunk)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            self._held -= sum(map(len, chunks))
            raise Refused(self._limits.late_status,
                          f"the upload took longer than {self._limits.body_s:g} s",
                          "Send it again.") from None
        except Refused:
            self._held -= sum(map(len, chunks))
            raise


def _headers(scope: Scope) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in headers and name in (b"host", b"origin", b"authorization"):
            raise Refused(403, f"two headers {name.decode()}", "Send one.")
        headers[name] = value
    return headers


def check(policy: Policy, scope: Scope, headers: Headers) -> None:
    """Refuse a request that another site or an unknown client may have caused.

    Raises:
        Refused: another host, origin or site, a form, or no token.
    """
    host = headers.get(b"host", b"").decode("latin-1").lower()
    if not {host, _name(host)} & policy.hosts and not (
            policy.own_address and _reached(scope, _name(host))):
        raise Refused(403, "asked under another host name",
                      "Use the address that bedside serve printed, or allow the name "
                      "with --allow-host.")
    origin = headers.get(b"origin")
    if origin is not None or (policy.pages_only and scope["method"] not in ("GET", "HEAD")):
        scheme, _, place = (origin or b"").decode("latin-1").lower().partition("://")
        if place != host or scheme not in ("http", "https"):
            raise Refused(403, "asked by a page of another origin", "Open the server's own.")
    if not policy.pages_only:
        _check_program(headers)
    if policy.token is not None:
        given = headers.get(b"authorization", b"")
        if not hmac.compare_digest(given, b"Bearer " + policy.token.encode()):
            raise Refused(403, "no token, or a wrong one",
                          "Send 'Authorization: Bearer' with the token.")


def _check_program(headers: Headers) -> None:
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise Refused(403, "asked by a page of another site", "Open the server's own.")
    if b"upgrade" in headers:
        raise Refused(403, "no protocol but HTTP is spoken here", "Send a plain request.")
    kind = headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
    if kind in _FORMS:
        raise Refused(403, "forms are not taken",
                      "Send the image itself, with its own Content-Type.")


def _name(host: str) -> str:
    """Return a Host header's name without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _reached(scope: Scope, name: str) -> bool:
    """Return whether a Host is the very address that the connection came to.

    Where a server listens on every address, each works; a name that another site points here
    never does.
    """
    try:
        return ip_address(name.strip("[]")) == ip_address((scope.get("server") or ("",))[0])
    except ValueError:
        return False


def route_of(path: str) -> str:
    """Return the audit's name of a path: one of a few words, never a client's own text."""
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


async def _refuse(send: Send, refused: Refused,
                  render: Callable[[Refused], tuple[str, bytes]]) -> None:
    kind, text = render(refused)
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(text)).encode())]
    # What is left of a body that was not read would stand before the next request.
    if refused.status in (408, 413, 429, 503):
        headers.append((b"connection", b"close"))
    if refused.status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
