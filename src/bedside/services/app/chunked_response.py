"""A response that is sent in chunks."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CHUNK_BYTES = 64 * 1024


class ChunkedResponse(Response):
    """A response whose body lies in memory once.

    A whole body in one message would be copied into the buffer of every connection; in chunks, a
    client that does not read has one of them waiting.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the body."""
        await send({"type": "http.response.start", "status": self.status_code,
                    "headers": self.raw_headers})
        size = 0 if scope["method"] == "HEAD" else len(self.body)
        for at in range(0, size, CHUNK_BYTES):
            await send({"type": "http.response.body", "more_body": True,
                        "body": self.body[at:at + CHUNK_BYTES]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
