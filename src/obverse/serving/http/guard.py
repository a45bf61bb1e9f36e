"""Guard in front of the application: who may ask, how much, and for how long; nothing reaches a protocol before.

An ASGI application around another one. The body of a request arrives here as a whole, and is given on in the state.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obverse.serving.access import Access
from obverse.serving.limits import HEAD_SECONDS, MIN_BODY_RATE
from obverse.serving.log import log_bug
from obverse.serving.refusals import Refusal
from obverse.serving.service import Service

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

logger = logging.getLogger("obverse.serving")
# They say nothing but that the process lives, and who asks may know neither name nor token.
PROBES = ("/v2/health/live", "/v2/health/ready")
# The page holds nothing secret; its script asks for the token.
PAGE = ("/", "/ui/page.js", "/ui/backend.js", "/ui/style.css")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'"


class Guard:
    """The application behind its rules."""

    def __init__(self, app: App, service: Service, access: Access) -> None:
        self._app, self._service, self._access = app, service, access
        self._num_bytes = 0
        self._clocks: set[asyncio.Timeout] = set()
        service.counters.gauge("obverse_received_bytes", lambda: self._num_bytes)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(send, time.monotonic())
        try:
            await self._answer(scope, receive, request)
        except Refusal as refusal:
            scope["obverse_is_too_large"] = refusal.code == "too-large"
            await request.refuse(refusal)
        except Exception as error:
            log_bug(logger, error)
            await request.refuse(Refusal("internal", "the server failed; its log says where"))
        finally:
            self._num_bytes -= scope.get("obverse_bytes", 0)
            self._log(scope, request)

    def stop(self) -> None:
        """Refuse what comes from now on, and what has not arrived as a whole."""
        self._service.is_stopping = True
        for clock in self._clocks:
            clock.reschedule(asyncio.get_running_loop().time())

    async def _answer(self, scope: Message, receive: Receive, request: _Request) -> None:
        headers = dict(scope["headers"])
        if scope["path"] not in PROBES:
            self._access.require_host(headers)
            if scope["method"] != "GET" or scope["path"] not in PAGE:
                self._access.require_token(headers)
        if scope["method"] == "POST":
            self._service.require_room()
            scope.setdefault("state", {})["body"] = await self._body(scope, receive, headers)
        await self._app(scope, receive, request.send)

    async def _body(self, scope: Message, receive: Receive, headers: dict[bytes, bytes]) -> bytes:
        """The body of a request. Refusal: encoded-body, too-large, too-slow, overloaded, stopping."""
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            raise Refusal("encoded-body", "send the body as it is, without Content-Encoding")
        limit = self._service.limits.max_body_bytes
        length = headers.get(b"content-length")
        if length is not None and int(length) > limit:
            raise _too_large(limit)
        body, start = bytearray(), asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(HEAD_SECONDS) as clock:
                self._clocks.add(clock)
                while await self._receive(scope, receive, body):
                    if len(body) > limit:
                        raise _too_large(limit)
                    if self._service.is_stopping:
                        break
                    clock.reschedule(start + HEAD_SECONDS + len(body) / MIN_BODY_RATE)
        except TimeoutError:
            if not self._service.is_stopping:
                raise Refusal("too-slow", "the request took too long to arrive") from None
        finally:
            self._clocks.discard(clock)
        self._service.require_room()
        return bytes(body)

    async def _receive(self, scope: Message, receive: Receive, body: bytearray) -> bool:
        """Append the next bytes; whether more follow."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal("bad-request", "the client is gone")
        more = message.get("body", b"")
        scope["obverse_bytes"] = scope.get("obverse_bytes", 0) + len(more)
        self._num_bytes += len(more)
        if self._num_bytes > self._service.limits.max_body_total:
            raise Refusal("overloaded", "the requests of all clients are too large together")
        body += more
        return bool(message.get("more_body", False))

    def _log(self, scope: Message, request: _Request) -> None:
        """One line and the counts of a request, by the route's own name."""
        route = getattr(scope.get("route"), "path", "none")
        seconds = time.monotonic() - request.start
        labels = {"route": route, "status": str(request.status), "code": request.code}
        self._service.counters.count("obverse_requests_total", **labels)
        self._service.counters.observe("obverse_request_seconds", seconds, route=route)
        if scope["path"] not in PROBES:
            logger.info("%s %s %s %.0f ms", route, request.status, request.code or "ok", 1000 * seconds)


class _Request:
    """The answer of one request, as far as it was sent."""

    def __init__(self, send: Send, start: float) -> None:
        self._send, self.start = send, start
        self.status, self.code = 0, ""

    async def send(self, message: Message) -> None:
        """Send a message of the application, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = {name for name, _ in message["headers"]}
            if (b"x-obverse-code") in own:
                self.code = dict(message["headers"])[b"x-obverse-code"].decode()
            policy = () if b"content-security-policy" in own else ((b"content-security-policy", DATA_POLICY),)
            message = {**message, "headers": [*message["headers"], *_HEADERS, *policy]}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Send a refusal, unless an answer has begun."""
        if self.status:
            return
        self.code = refusal.code
        body = json.dumps(refusal.as_json(), ensure_ascii=False).encode("utf-8", "replace")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        if refusal.code in ("too-slow", "stopping"):
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _too_large(limit: int) -> Refusal:
    return Refusal("too-large", f"a request has at most {limit >> 20} MiB")
