"""A uvicorn protocol that ends connections which neither send nor read."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

# What a reader must take in ``write_s``: a few tens of kilobytes a second.
LEAST_BYTES = 256 * 1024


class SlowClientProtocol(H11Protocol):
    """Connections with clocks: for the headers of a request, and for a client that reads.

    ``header_s``: seconds for a request's headers. ``write_s``: in each span of so many seconds a
    client takes ``LEAST_BYTES`` of what waits for it, or all; else the connection is aborted, for
    closing it would wait for that client again. ``late``: what one whose headers do not arrive is
    sent before the end.
    """

    header_s = 10.0
    late = (b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n" b"connection: close\r\n\r\n")
    write_s = 10.0
    _clock: asyncio.TimerHandle | None = None
    _watch: asyncio.TimerHandle | None = None
    _waiting = 0
    _drained = 0
    _paused_at = 0

    def connection_made(self, transport: Any) -> None:
        """Start the clocks with the connection."""
        super().connection_made(transport)
        self._arm()
        self._watch = self.loop.call_later(self.write_s, self._look)

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a request's headers are whole."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()

    def on_response_complete(self) -> None:
        """Start the clock for the next request's headers."""
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._arm()

    def pause_writing(self) -> None:
        """Note how much waits while the application holds still."""
        self._paused_at = self.transport.get_write_buffer_size()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Count what the client took meanwhile."""
        self._drained += max(0, self._paused_at - self.transport.get_write_buffer_size())
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clocks."""
        self._stop()
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._stop()
        self._clock = self.loop.call_later(self.header_s, self._late)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.late)
            self.transport.close()

    def _look(self) -> None:
        before, self._waiting = self._waiting, self.transport.get_write_buffer_size()
        taken = self._drained + max(0, before - self._waiting)
        self._drained = 0
        if before and self._waiting and taken < LEAST_BYTES:
            self.transport.abort()
            return
        self._watch = self.loop.call_later(self.write_s, self._look)
