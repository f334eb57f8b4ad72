"""The HTTP application of the lab: a page for phones, one for the workbench, and uploads."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bedside.core import codec
from bedside.core.errors import BedsideError
from bedside.services import guard
from bedside.services.app import files
from bedside.services.app.chunked_response import ChunkedResponse
from bedside.services.app.server import GET, file_response
from bedside.services.guard import Headers, Scope
from bedside.services.lab.plan import Plan
from bedside.services.lab.session import BATCH, Device, Hold, Lab, Refused, Session

MAX_SESSIONS = 200
# Not 408: a phone whose network was away sends again after a status 5xx only.
_LIMITS = guard.Limits(upload_bytes=1 << 20, held_bytes=MAX_SESSIONS << 20, body_s=10.0,
                       late_status=503)
_SHOWN = {"wasm": "processor", "webgpu": "WebGPU", "webnn": "WebNN"}
_LOOPBACK = {"127.0.0.1", "::1", "testclient"}


@dataclass(frozen=True)
class Place:
    """Where the lab can be reached. ``authority``: the certificate for phones, where there is TLS.

    ``hosts`` are the Host headers that are answered; anything else is another site's doing.
    """

    http: str
    https: str | None
    authority: Path | None
    fingerprint: str | None
    hosts: frozenset[str]


def new_code() -> str:
    """Make up the join code of one start of the lab; it travels in the URL's fragment only."""
    return secrets.token_urlsafe(16)


def lab_app(plan: Plan, place: Place, code: str, hold: Hold = nullcontext) -> guard.Guard:
    """Return the ASGI app of a lab; ``hold`` is held while it publishes."""
    files.app_dir()
    lab, lock = Lab(plan, hold), threading.Lock()
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @api.exception_handler(BedsideError)
    async def refused(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": error.fault if isinstance(error, BedsideError) else ""},
                            error.status if isinstance(error, Refused) else 400)

    @api.exception_handler(HTTPException)
    async def missing(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail.lower()}, error.status_code, error.headers)

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "the address does not read"}, 400)

    async def body(request: Request) -> Any:
        return codec.parse_json(await request.body(), "upload")

    def session_of(request: Request) -> Session:
        return session_by(request.headers.get("authorization", ""))

    def session_by(authorization: str) -> Session:
        kind, _, token = authorization.partition(" ")
        if kind != "Bearer":
            raise Refused(401, "no token")
        return lab.by_token(token)

    async def admit(scope: Scope, headers: Headers) -> None:
        # Before the body: who has not joined cannot make this process read one.
        if scope["path"].startswith("/lab/api/uploads/"):
            given = headers.get(b"authorization", b"").decode("latin-1")
            try:
                await run_in_threadpool(locked, lambda: session_by(given))
            except Refused as refused:
                raise guard.Refused(refused.status, refused.fault) from None

    def locked(work: Callable[[], Any]) -> Any:
        with lock:
            return work()

    @api.api_route("/", methods=GET)
    @api.api_route("/lab.html", methods=GET)
    def page(request: Request) -> Response:
        return file_response("lab.html", request)

    @api.get("/workbench")
    def workbench(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return PlainTextResponse("open this page on the workbench itself", 403)
        return HTMLResponse(_workbench(lab, place, code))

    @api.get("/authority.crt")
    def authority() -> Response:
        if place.authority is None:
            return PlainTextResponse("not found", 404)
        return Response(place.authority.read_bytes(), media_type="application/x-x509-ca-cert",
                        headers={"Content-Disposition": "attachment; filename=bedside-lab.crt"})

    @api.get("/lab/api/place")
    def where() -> dict[str, Any]:
        return {"https": place.https, "fingerprint": place.fingerprint,
                "images": len(plan.cases), "variants": len(plan.variants)}

    @api.post("/lab/api/join")
    async def join(request: Request) -> dict[str, Any]:
        sent = await body(request)
        if not isinstance(sent, dict) or not isinstance(sent.get("code"), str) \
                or not hmac.compare_digest(sent["code"].encode(), code.encode()):
            raise Refused(403, "the code is not this lab's")
        device = codec.decode(Device, sent.get("device"), "device")
        if max(len(v) for v in (device.name, device.browser, device.platform, device.gpu)) > 120:
            raise Refused(400, "a device description that is too long")
        # A device cannot claim a secure context that it did not have.
        if device.secure != (request.url.scheme == "https"
                             or request.url.hostname in ("localhost", "127.0.0.1", "::1")):
            raise Refused(400, "the connection is not what the device says")
        if len(lab.sessions()) >= MAX_SESSIONS:
            raise Refused(429, "too many devices")
        session, token = await run_in_threadpool(
            locked, lambda: lab.join(device, sent.get("images") is True))
        return {"session": session.id, "token": token}

    @api.get("/lab/api/plan")
    def plan_(request: Request) -> dict[str, Any]:
        session = session_of(request)
        return {
            "variants": [{"id": v.id, "sha256": v.sha256, "size_bytes": v.size_bytes,
                          "classes": len(v.task.classes), "preprocess": codec.encode(v.preprocess)}
                         for v in plan.variants],
            "rounds": plan.rounds(session.device.accelerators),
            "warmup": plan.config.warmup, "samples": plan.config.samples, "batch": BATCH,
            "images": len(plan.cases) if session.images else 0,
            "latency_images": plan.latency_images() if session.images else [],
            "done": sorted(session.chunks), "finished": session.finished}

    @api.get("/lab/api/models/{index}")
    def model(index: int, request: Request) -> Response:
        session_of(request)
        if not 0 <= index < len(plan.variants):
            raise Refused(404, "no such variant")
        return ChunkedResponse(plan.model(index), media_type="application/octet-stream")

    @api.get("/lab/api/images/{variant}/{image}")
    def image(variant: int, image: int, request: Request) -> Response:
        if not session_of(request).images:
            raise Refused(403, "no images were shared with this device")
        if not (0 <= variant < len(plan.variants) and 0 <= image < len(plan.cases)):
            raise Refused(404, "no such image")
        data, dtype = plan.pixels(variant, image)
        return Response(data, media_type="application/octet-stream", headers={"X-Dtype": dtype})

    @api.put("/lab/api/uploads/{key}")
    async def upload(key: str, request: Request) -> dict[str, bool]:
        value = await body(request)
        new = await run_in_threadpool(locked, lambda: lab.put(session_of(request), key, value))
        return {"new": new}

    @api.post("/lab/api/finish")
    async def finish(request: Request) -> dict[str, Any]:
        names = await run_in_threadpool(locked, lambda: lab.finish(session_of(request)))
        return {"measurements": names}

    for name in files.names():
        if name.startswith(("assets/", "wasm/", "icon", "licences/")):
            _add_file(api, name)
    return guard.Guard(api, guard.Policy(
        place.hosts, pages_only=True, limits=_LIMITS, admit=admit, render=_render,
        headers={**files.HEADERS, "Cache-Control": "no-store"}))


def _render(refused: guard.Refused) -> tuple[str, bytes]:
    return "application/json", json.dumps({"error": refused.fault}).encode()


def _add_file(api: FastAPI, name: str) -> None:
    def answer(request: Request) -> Response:
        return file_response(name, request)
    api.add_api_route(f"/{name}", answer, methods=GET, response_model=None)


def join_url(place: Place, code: str) -> str:
    """Return the address in the QR code; the page there offers the secure one."""
    return f"{place.http}/lab.html#{code}"


def _workbench(lab: Lab, place: Place, code: str) -> str:
    import jinja2
    import segno

    source = (resources.files("bedside.services.lab") / "workbench.html").read_text("utf-8")
    style = next(n for n in files.names() if n.endswith(".css"))
    script = next((n for n in files.names() if n.startswith("assets/workbench-")), "")
    qr = segno.make(join_url(place, code), error="m")
    rows = [{"session": s, "done": len(s.chunks),
             "runs_on": [_SHOWN[a] for a in s.device.accelerators]} for s in lab.sessions()]
    template = jinja2.Environment(autoescape=True).from_string(source)
    return template.render(style=style, script=script, qr=qr.svg_data_uri(scale=6, border=2),
                           url=join_url(place, code), place=place, rows=rows,
                           images=len(lab.plan.cases), held_back=lab.plan.held_back,
                           variants=lab.plan.variants)
