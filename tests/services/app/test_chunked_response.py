"""A response in chunks."""

from __future__ import annotations

import asyncio

import pytest

from bedside.services.app.chunked_response import CHUNK_BYTES, ChunkedResponse


@pytest.mark.parametrize(("method", "size"), [("GET", 0), ("GET", 3 * CHUNK_BYTES + 1),
                                              ("HEAD", 10)])
def test_a_body_goes_out_in_chunks_and_ends(method, size):
    sent = []

    async def send(message):
        sent.append(message)

    body = bytes(range(256)) * (size // 256 + 1)
    response = ChunkedResponse(body[:size])
    asyncio.run(response({"method": method}, None, send))
    parts = [m["body"] for m in sent[1:]]
    assert b"".join(parts) == (b"" if method == "HEAD" else body[:size])
    assert max(map(len, parts)) <= CHUNK_BYTES
    assert [m["more_body"] for m in sent[1:]] == [True] * (len(parts) - 1) + [False]
    assert dict(sent[0]["headers"])[b"content-length"] == str(size).encode()
