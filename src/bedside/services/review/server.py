"""Server of ``bedside review``: local only, behind an address that cannot be guessed.

The socket is bound to 127.0.0.1; every path begins with 32 random bytes; the guard refuses another
Host (a page elsewhere cannot rebind a name to it), and a change without the page's own Origin.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bedside.core.errors import BadInput
from bedside.deid import process_file
from bedside.services.guard import Guard, Headers, Limits, Policy, Refused, Scope
from bedside.services.review import candidate, decisions
from bedside.services.review.decisions import Review

_PAGES = Path(__file__).parent / "pages"
_STATIC = {"": ("review.html", "text/html"), "review.css": ("review.css", "text/css"),
           "review.js": ("review.js", "text/javascript")}
_HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
                               "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}


class Server:
    """One review, served while the block runs. ``done`` is set when the person finishes."""

    def __init__(self, work: Review, port: int = 0) -> None:
        self.token = secrets.token_urlsafe(32)
        self.done = threading.Event()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError as error:
            self._socket.close()
            raise BadInput(f"port {port} cannot be used ({error.strerror})", where="--port",
                           remedy="Leave it out: a free one is taken.") from None
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(
            self._guarded(work), log_config=None, access_log=False, server_header=False,
            ws="none", timeout_graceful_shutdown=2))
        self._thread = threading.Thread(target=self._server.run,
                                        kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def address(self) -> str:
        """The page's address, token included."""
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def __enter__(self) -> Self:
        self._socket.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _guarded(self, work: Review) -> Guard:
        secret = self.token.encode()

        async def admit(scope: Scope, headers: Headers) -> None:
            if not hmac.compare_digest(scope["path"].split("/")[1].encode(), secret):
                raise Refused(404, "Not Found")

        return Guard(application(work, self.token, self.done), Policy(
            frozenset(f"{name}:{self.port}" for name in ("127.0.0.1", "localhost")),
            pages_only=True, limits=Limits(upload_bytes=1 << 16, held_bytes=1 << 20),
            admit=admit, render=lambda refused: ("text/plain; charset=utf-8",
                                                 refused.fault.encode()), headers=_HEADERS))


def application(work: Review, token: str, done: threading.Event) -> Starlette:
    """Return the page's application, its paths below ``token``."""
    entries = {e.id: e for e in work.entries}

    def listing(request: Request) -> Response:
        return JSONResponse(items(work))

    def preview(request: Request) -> Response:
        entry = entries.get(request.path_params["id"])
        try:
            if entry is None:
                return _not_found()
            return Response(preview_file(work, entry.file).read_bytes(), media_type="image/png")
        except OSError:
            return _not_found()

    def image(request: Request) -> Response:
        entry = entries.get(request.path_params["id"])
        try:
            if entry is None:
                return _not_found()
            frame = request.path_params["frame"]
            return Response(candidate.candidate_png(work.private, entry, frame),
                            media_type="image/png")
        except (OSError, BadInput):
            return _not_found()

    async def decide(request: Request) -> Response:
        body = await _json(request)
        try:
            boxes = tuple((float(a), float(b), float(c), float(d))
                          for a, b, c, d in body.get("boxes", ()))
            await run_in_threadpool(decisions.decide, work, str(body["id"]), body["verdict"], boxes)
        except BadInput as error:
            return PlainTextResponse(error.remedy or error.fault, 400)
        except (ValueError, KeyError, TypeError, AttributeError):
            return PlainTextResponse("Bad Request", 400)
        return JSONResponse({})

    async def finish(request: Request) -> Response:
        await _json(request)
        done.set()
        return JSONResponse({})

    root = f"/{token}/"
    return Starlette(routes=[
        *(Route(root + name, _page(file, kind)) for name, (file, kind) in _STATIC.items()),
        Route(root + "items", listing), Route(root + "preview/{id}", preview),
        Route(root + "image/{id}/{frame:int}", image),
        Route(root + "decide", decide, methods=["POST"]),
        Route(root + "done", finish, methods=["POST"])],
        exception_handlers={_BadBody: lambda *_: PlainTextResponse("Bad Request", 400)})


class _BadBody(Exception):
    """A body that is not the JSON it says it is."""


async def _json(request: Request) -> Any:
    if request.headers.get("content-type") != "application/json":
        raise _BadBody
    try:
        return json.loads(await request.body())
    except ValueError:
        raise _BadBody from None


def _page(file: str, kind: str) -> Callable[[Request], Response]:
    def answer(request: Request) -> Response:
        return Response((_PAGES / file).read_bytes(), media_type=kind)
    return answer


def _not_found() -> Response:
    return PlainTextResponse("Not Found", 404)


def preview_file(work: Review, file: str) -> Path:
    """Return the preview of a quarantined file."""
    return work.private / process_file.PREVIEWS / f"{Path(file).stem}.png"


def items(work: Review) -> list[dict[str, Any]]:
    """Return the quarantined files with their decisions."""
    decided = decisions.decisions(work)
    found = []
    for entry in work.entries:
        choice = decided.get(entry.id)
        if choice is not None and choice.candidate != decisions.candidate_sha256(work, entry):
            choice = None
        fault, frames = None, 0
        try:
            frames = candidate.frame_count(work.private, entry)
        except BadInput as error:  # the others can still be decided
            fault = f"{error.fault}. {error.remedy}"
        found.append({"id": entry.id, "kind": entry.kind, "reason": entry.reason,
                      "frames": frames, "fault": fault,
                      "preview": preview_file(work, entry.file).is_file(),
                      "verdict": choice.verdict if choice else None,
                      "boxes": [list(b) for b in choice.boxes] if choice else []})
    return found


def serve(work: Review, port: int, open_browser: bool, say: Callable[[str], None]) -> None:
    """Serve until the person finishes; Ctrl-C keeps the decisions and applies nothing."""
    with Server(work, port) as server:
        say(f"review: {server.address}")
        if open_browser:
            webbrowser.open(server.address)
        while not server.done.wait(0.5):
            pass
