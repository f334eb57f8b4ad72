"""Server of ``bedside review``: local only, behind an address that cannot be guessed.

The socket is bound to 127.0.0.1; every path begins with 32 random bytes; Host must be this
server's own (a page elsewhere cannot rebind a name to it), Origin too where something is changed.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bedside.core.errors import BadInput
from bedside.deid import process_file
from bedside.services.review import decisions
from bedside.services.review.decisions import Review

_PAGES = Path(__file__).parent / "pages"
_STATIC = {"": ("review.html", "text/html; charset=utf-8"),
           "review.css": ("review.css", "text/css; charset=utf-8"),
           "review.js": ("review.js", "text/javascript; charset=utf-8")}
_MAX_BODY = 1 << 16
_HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' "
                               "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
                               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}


class Server(ThreadingHTTPServer):
    """Server of one review; ``address`` is its page."""

    daemon_threads = True

    def __init__(self, work: Review, port: int = 0) -> None:
        self.work = work
        self.token = secrets.token_urlsafe(32)
        self.done = threading.Event()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise BadInput(f"port {port} cannot be used ({error.strerror})", where="--port",
                           remedy="Leave it out: a free one is taken.") from None
        self.hosts = {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    @property
    def address(self) -> str:
        """The page's address, token included."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: addresses would put the token into logs."""

    def _answer(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, text: str = "") -> None:
        self._answer(status, (text or status.phrase).encode(), "text/plain; charset=utf-8")

    def _path(self, changes: bool) -> list[str] | None:
        """Return the parts after the token, or None once refused."""
        if self.headers.get("Host") not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        origin = self.headers.get("Origin")
        own = {f"http://{h}" for h in self.server.hosts}
        if (origin is not None or changes) and origin not in own:
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        parts = self.path.split("?")[0].split("/")[1:]
        if not parts or not hmac.compare_digest(parts[0].encode(), self.server.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND)
            return None
        return parts[1:]

    def do_GET(self) -> None:
        """Serve the page, the list of files, and images."""
        parts = self._path(False)
        if parts is None:
            return
        work = self.server.work
        entry = next((e for e in work.entries if len(parts) > 1 and e.id == parts[1]), None)
        try:
            if parts == ["items"]:
                self._answer(HTTPStatus.OK, json.dumps(items(work)).encode(), "application/json")
            elif len(parts) == 1 and parts[0] in _STATIC:
                name, kind = _STATIC[parts[0]]
                self._answer(HTTPStatus.OK, (_PAGES / name).read_bytes(), kind)
            elif entry and parts[0] == "preview" and len(parts) == 2:
                self._answer(HTTPStatus.OK, preview_file(work, entry.file).read_bytes(),
                             "image/png")
            elif entry and parts[0] == "image" and len(parts) == 3 and parts[2].isdigit():
                self._answer(HTTPStatus.OK, decisions.candidate_png(work, entry, int(parts[2])),
                             "image/png")
            else:
                self._refuse(HTTPStatus.NOT_FOUND)
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Store a decision, or finish."""
        parts = self._path(True)
        if parts is None:
            return
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type") != "application/json" or not length.isdigit() or int(
                length) > _MAX_BODY:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        try:
            body = json.loads(self.rfile.read(int(length)))
            if parts == ["done"]:
                self._answer(HTTPStatus.OK, b"{}", "application/json")
                self.server.done.set()
            elif parts == ["decide"]:
                boxes = tuple((float(a), float(b), float(c), float(d))
                              for a, b, c, d in body.get("boxes", ()))
                decisions.decide(self.server.work, str(body["id"]), body["verdict"], boxes)
                self._answer(HTTPStatus.OK, b"{}", "application/json")
            else:
                self._refuse(HTTPStatus.NOT_FOUND)
        except BadInput as error:
            self._refuse(HTTPStatus.BAD_REQUEST, error.remedy or error.fault)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._refuse(HTTPStatus.BAD_REQUEST)


def preview_file(work: Review, file: str) -> Path:
    """Return the preview of a quarantined file."""
    return work.private / process_file.PREVIEWS / f"{Path(file).stem}.png"


def items(work: Review) -> list[dict[str, Any]]:
    """Return the quarantined files with their decisions."""
    decided = decisions.decisions(work)
    out = []
    for entry in work.entries:
        choice = decided.get(entry.id)
        if choice is not None and choice.candidate != decisions.candidate(work, entry):
            choice = None
        out.append({"id": entry.id, "kind": entry.kind, "reason": entry.reason,
                    "frames": decisions.frame_count(work, entry),
                    "preview": preview_file(work, entry.file).is_file(),
                    "verdict": choice.verdict if choice else None,
                    "boxes": [list(b) for b in choice.boxes] if choice else []})
    return out


def serve(work: Review, port: int, open_browser: bool, say: Callable[[str], None]) -> None:
    """Serve until the person finishes; Ctrl-C keeps the decisions and applies nothing."""
    with Server(work, port) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        say(f"review: {server.address}")
        if open_browser:
            webbrowser.open(server.address)
        try:
            while not server.done.wait(0.5):
                pass
        finally:
            server.shutdown()
            thread.join()
