"""A response that is handed to the network piece by piece."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 64 * 1024


class Pieces(Response):
    """Bytes that lie in memory once. A whole body in one message would be copied into the buffer
    of every connection; in pieces, a client that does not read has one waiting.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then the body."""
        await send({"type": "http.response.start", "status": self.status_code,
                    "headers": self.raw_headers})
        size = 0 if scope["method"] == "HEAD" else len(self.body)
        for at in range(0, size, PIECE_BYTES):
            await send({"type": "http.response.body", "more_body": True,
                        "body": self.body[at:at + PIECE_BYTES]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
