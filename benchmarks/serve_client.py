"""A client of HTTP/1.1 that costs little, so that a benchmark on the same cores measures the server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """Answer to one request."""

    status: int
    body: bytes
    seconds: float

    retry_after: str
    """Value of the header, empty where there is none."""


class Client:
    """One connection that stays open; it is opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, picture: bytes, name: str) -> Reply:
        """Answer to a picture in a form."""
        head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
        body = head + picture + b"\r\n--b--\r\n"
        return await self.post("/v1/predict?top_k=1000", body, "multipart/form-data; boundary=b")

    async def post(self, path: str, body: bytes, kind: str) -> Reply:
        """Answer to a body of that media type."""
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        return await self._exchange(head.encode() + body)

    async def get(self, path: str) -> Reply:
        """Answer to a path."""
        return await self._exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def _exchange(self, request: bytes) -> Reply:
        start = time.perf_counter()
        try:
            return await self._once(request, start)
        except (OSError, asyncio.IncompleteReadError):  # an idle connection that the server has closed
            await self.__aexit__()
            await self.__aenter__()
            return await self._once(request, start)

    async def _once(self, request: bytes, start: float) -> Reply:
        self._writer.write(request)
        await self._writer.drain()
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers["content-length"]))
        status = int(head[0].split(" ")[1])
        return Reply(status, body, time.perf_counter() - start, headers.get("retry-after", ""))
