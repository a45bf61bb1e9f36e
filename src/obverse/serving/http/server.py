"""The server process with uvicorn: socket, connections with clocks, and an end that answers what was accepted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from obverse.errors import BusyError, RecipeError
from obverse.serving.access import Access
from obverse.serving.limits import DRAIN_SECONDS, HEAD_SECONDS, LINGER_SECONDS, REFUSE_SECONDS, WRITE_SECONDS
from obverse.serving.service import Service

from .app import build_app
from .guard import Guard

SWEEP_SECONDS = 1.0
MAX_HEAD_BYTES = 32 * 1024
BACKLOG = 512


class Connection(H11Protocol):
    """A connection that is closed when its client sends no complete head, or reads no answer, for too long."""

    def connection_made(self, transport: Any) -> None:
        """Start of the connection."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._stuck_since: float | None = None

    def on_response_complete(self) -> None:
        """End of an answer; the next request, or the rest of the last one, has its own time."""
        self.since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer to bytes that are no HTTP. An answer that has begun cannot be taken back."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()
            return
        body = json.dumps({"error": "this is no valid HTTP request", "code": "bad-request"}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ]
        for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def close_if_slow(self, now: float) -> None:
        """Close the connection when its client has used up its time."""
        self._stuck_since = (self._stuck_since or now) if self.flow.write_paused else None
        if self._stuck_since is not None and now - self._stuck_since > WRITE_SECONDS:
            self.transport.abort()
        is_waiting = self.cycle is None or self.cycle.response_complete
        is_too_large = self.scope is not None and self.scope.get("obverse_is_too_large", False)
        if is_waiting and now - self.since > (LINGER_SECONDS if is_too_large else HEAD_SECONDS):
            self.transport.close() if not self.transport.is_closing() else self.transport.abort()


class Server(uvicorn.Server):
    """uvicorn's server; SIGTERM and Ctrl-C end it after the answers to what was accepted."""

    def __init__(self, config: uvicorn.Config, guard: Guard) -> None:
        super().__init__(config)
        self._guard = guard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and look at their clocks from now on."""
        await super().startup(sockets)
        self._sweeper = asyncio.create_task(self._sweep())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse what comes, wait for what is being answered, close."""
        self._guard.stop()
        # What clients sent before they could know is accepted and refused; closed sockets would reset it.
        await asyncio.sleep(REFUSE_SECONDS)
        await super().shutdown(sockets)
        self._sweeper.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals as uvicorn does, without raising them again: an end on request is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.close_if_slow(now)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address, so that clients may connect from now on. port 0: any free one.

    BusyError or RecipeError when that is not possible.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as on_error:
            listener = on_error.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            on_error.pop_all()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise BusyError(f"port {port} is in use by another program; choose another one with --port") from None
        raise RecipeError(f"cannot listen at {host}, port {port}: {error.strerror or error}") from None
    return listener


def build_server(service: Service, access: Access, *, has_page: bool = False) -> Server:
    """A server that is ready to run on a socket of `bind`: `server.run([listener])`."""
    guard = Guard(build_app(service, has_page=has_page), service, access)
    config = uvicorn.Config(
        guard,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Behind a proxy nothing depends on what a header says of the client.
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=int(DRAIN_SECONDS - REFUSE_SECONDS),
        backlog=BACKLOG,
    )
    return Server(config, guard)
