"""The HTTP application: ``/predict``, ``/models``, ``/health``, the bundles and the app."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from bedside import __version__
from bedside.core import codec
from bedside.core.errors import BadInput, GateFailed, MissingComponent
from bedside.runtime.bundle.manifest import NOTICE
from bedside.runtime.bundle.reader import Bundle
from bedside.runtime.device import Device
from bedside.runtime.engine import Raw
from bedside.services.app.chunked_response import ChunkedResponse
from bedside.services.app.server import GET, app_router, fault
from bedside.services.inference_queue import Full, InferenceQueue

IMAGE_TYPES = ("image/png", "image/jpeg", "image/bmp", "image/tiff")
_ERROR = {"type": "object", "required": ["error"], "properties": {"error": {
    "type": "object", "required": ["fault", "remedy"], "properties": {
        "fault": {"type": "string"}, "remedy": {"type": "string"}}}}}
_FAULTS = {
    400: "The query does not read.", 403: "Another host, origin or site, or no token.",
    404: "No such bundle.", 408: "The upload was too slow.", 413: "The upload is too large.",
    415: "Not an image's Content-Type.", 422: "Not an image that can be read.",
    429: "Too many requests wait: send it again later.",
    503: "The process that runs the model ended; a fresh one was started."}
BundleId = Annotated[str | None, Query(
    pattern="^[0-9a-f]{16}$", description="A bundle's id (default: the first).")]


def _responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {s: {"description": _FAULTS[s], "content": {"application/json": {"schema": _ERROR}}}
            for s in statuses}


def describe(device: Device) -> dict[str, Any]:
    """Return what ``/models`` says of a bundle."""
    bundle = device.bundle
    manifest = bundle.manifest
    facts: dict[str, Any] = codec.encode({
        "id": bundle.id, "name": manifest.name, "signed": bundle.signer is not None,
        "signer": bundle.signer, "model": manifest.model, "task": manifest.task,
        "preprocess": manifest.preprocess, "operating_point": manifest.operating_point,
        "self_test": device.test, "size_bytes": bundle.size_bytes,
        "below_floor": manifest.below_floor,
        "href": f"/bundles/{bundle.id}.zip"})
    return facts


def application(line: InferenceQueue, bundles: Sequence[tuple[Bundle, bytes]],
                trusted: Iterable[bytes] = ()) -> FastAPI:
    """Return the application behind the guard.

    Args:
        line: the queue with its devices.
        bundles: the verified files, for the web app to download.
        trusted: the public keys that the app may trust.
    """
    api = FastAPI(title="bedside", version=__version__, description=NOTICE, docs_url=None,
                  redoc_url=None)

    @api.get("/health", responses=_responses(403))
    async def health() -> dict[str, Any]:
        """Whether it answers, and counts since the start that name no patient."""
        return {"status": "ok", "bedside": __version__, "bundles": list(line.devices),
                "counts": dict(line.counts)}

    @api.get("/models", responses=_responses(403))
    async def models() -> dict[str, Any]:
        """The bundles, the first of them the default."""
        return {"schema": 1, "models": [describe(d) for d in line.devices.values()],
                "notice": NOTICE}

    body = {"required": True, "content": {t: {"schema": {"type": "string", "format": "binary"}}
                                          for t in IMAGE_TYPES}}

    @api.post("/predict", responses=_responses(*_FAULTS), openapi_extra={"requestBody": body})
    async def predict(request: Request, bundle: BundleId = None,
                      cam: Annotated[bool, Query(description="Add the class activation map.")]
                      = False) -> Response:
        """Answer one image, sent as the body."""
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind not in IMAGE_TYPES:
            return fault(415, "not an image's Content-Type",
                          f"Send the image itself as {', '.join(IMAGE_TYPES)}.")
        device = line.devices.get(bundle or line.first)
        if device is None:
            return fault(404, "no such bundle", "See /models.")
        try:
            answer, raw = await line.ask(device.bundle.id, await request.body())
        except Full:
            return fault(429, "too many requests wait", "Send it again later.",
                          {"retry-after": "1"})
        except BadInput as error:
            return fault(422, error.fault, "Send a whole PNG, JPEG, BMP or TIFF.")
        except GateFailed as error:
            return fault(503, error.fault, "Send it again.")
        document = {
            "schema": 1, "variant": device.bundle.manifest.model.variant,
            "bundle": {"id": device.bundle.id, "name": device.bundle.manifest.name,
                       "signed": device.bundle.signer is not None,
                       "signer": device.bundle.signer},
            "threshold": device.bundle.manifest.operating_point.threshold,
            "below_floor": device.bundle.manifest.below_floor,
            "answers": [answer], "notice": NOTICE}
        if cam:
            document["cam"] = _map(raw)
        return JSONResponse(codec.encode(document))

    @api.exception_handler(HTTPException)
    async def refused(request: Request, error: Exception) -> JSONResponse:
        # Starlette's own: no such route, or not with this method; its words are {"detail"}.
        assert isinstance(error, HTTPException)
        words = "no such page" if error.status_code == 404 else error.detail.lower()
        return fault(error.status_code, words, "See /openapi.json.", error.headers)

    @api.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: Exception) -> JSONResponse:
        return fault(400, "the query does not read", "See /openapi.json.")

    _pages(api, bundles, trusted)
    return api


def _map(raw: Raw) -> dict[str, Any] | None:
    if raw.cam_shape is None:
        return None
    values = np.frombuffer(raw.cam, "<f4").reshape(raw.cam_shape)
    return {"shape": list(raw.cam_shape), "values": values.tolist()}


def _pages(api: FastAPI, bundles: Sequence[tuple[Bundle, bytes]], trusted: Iterable[bytes]) -> None:
    """Add the web app and the bundles it opens; where the app is not built, a page that says so."""
    try:
        api.include_router(app_router(bundles, trusted))
        return
    except MissingComponent as error:
        text = f"{error.fault} {error.remedy}"
    held = {f"{b.id}.zip": data for b, data in bundles}

    @api.api_route("/bundles/{name}", methods=GET, include_in_schema=False)
    async def bundle_file(name: str) -> Response:
        data = held.get(name)
        if data is None:
            return fault(404, "no such bundle", "See /models.")
        return ChunkedResponse(data, media_type="application/zip")

    @api.api_route("/", methods=GET, include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(
            "<!doctype html><html lang=en><meta charset=utf-8><title>bedside</title>"
            f"<h1>bedside</h1><p>{NOTICE}</p><p>{html.escape(text)}</p>"
            "<p>POST an image to /predict; see <a href=/openapi.json>openapi.json</a> and "
            "<a href=/models>models</a>.</p></html>")
