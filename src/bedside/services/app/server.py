"""The app over HTTP: routes that ``bedside serve`` and ``bedside lab`` add to their servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from bedside.runtime.bundle.reader import Bundle
from bedside.services.app import files
from bedside.services.app.chunked_response import ChunkedResponse

GET = ["GET", "HEAD"]


def fault(status: int, fault: str, remedy: str, headers: Mapping[str, str] | None = None
          ) -> JSONResponse:
    """Return a fault in the form that every client gets."""
    return JSONResponse({"error": {"fault": fault, "remedy": remedy}}, status, dict(headers or {}))


def file_response(name: str, request: Request) -> Response:
    """Return one file of the app; the engine goes out as it is stored, compressed."""
    found = files.read(name)
    if found is None:
        return fault(404, "no such page", "See /openapi.json.")
    headers = dict(files.HEADERS)
    # Names of assets carry their hash; everything else is asked for anew.
    headers["Cache-Control"] = ("public, max-age=31536000, immutable"
                                if name.startswith("assets/") else "no-cache")
    if found.gzipped and "gzip" not in request.headers.get("accept-encoding", ""):
        found = files.read_plain(name) or found
    if found.gzipped:
        headers["Content-Encoding"] = "gzip"
    return ChunkedResponse(found.data, headers=headers, media_type=found.media_type)


def app_router(bundles: Sequence[tuple[Bundle, bytes]], trusted: Iterable[bytes]) -> APIRouter:
    """Return the routes of the app: its files, ``app.json`` and the verified bundles."""
    files.app_dir()
    router = APIRouter(include_in_schema=False)
    config = files.app_json([b for b, _ in bundles], trusted)
    held = {files.bundle_path(b): data for b, data in bundles}

    @router.api_route("/", methods=GET)
    def index(request: Request) -> Response:
        return file_response("index.html", request)

    @router.api_route("/app.json", methods=GET)
    def app_json() -> Response:
        return Response(config, headers={**files.HEADERS, "Cache-Control": "no-cache"},
                        media_type="application/json")

    @router.api_route("/bundles/{name}", methods=GET)
    def bundle(name: str) -> Response:
        data = held.get(f"bundles/{name}")
        if data is None:
            return fault(404, "no such bundle", "See /models.")
        return ChunkedResponse(data, headers={**files.HEADERS, "Cache-Control": "no-cache"},
                      media_type="application/zip")

    def add(name: str) -> None:
        def answer(request: Request) -> Response:
            return file_response(name, request)
        router.add_api_route(f"/{name}", answer, methods=GET, response_model=None)

    for name in files.names():
        if name not in ("index.html", "lab.html"):
            add(name)
    return router
