"""Pool of child processes with limits of memory and time, for decoding untrusted pictures.

A decoder that crashes ends a child, not the parent. This bounds the cost of broken or hostile pictures; it is no
security boundary, because a child has the rights of its parent. Children are fresh interpreters (never forks: the
parent may have threads and a GPU) and import only what the functions sent to them need; `obverse.imaging` needs no
torch. Where the `resource` module is missing (Windows), memory is not limited, and time only by the wall clock.
"""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import select
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import IO, Any

from obverse.cpus import num_allowed_cpus

from .decode import Pixels, decode_picture
from .ordered import in_order
from .probe import PictureError

MEMORY_BYTES = 512 * 2**20
CPU_SECONDS = 3.0
# Much longer than the CPU limit, because on a busy machine three seconds of work take longer; it ends what sleeps.
WALL_SECONDS = 30.0
# An idle child of the shared sandbox ends after this time to free its memory; a new one starts in a fifth of a second.
IDLE_SECONDS = 20.0

_SIZE = struct.Struct("<Q")
_START = "import sys; sys.path[:] = {path!r}; from obverse.imaging.sandbox import _serve; _serve({limits!r}, {idle!r})"


class Sandbox:
    """Thread-safe pool of child processes. Use it in a `with` statement, or call `close`."""

    def __init__(
        self,
        num_processes: int = 2,
        *,
        memory_bytes: int = MEMORY_BYTES,
        cpu_seconds: float = CPU_SECONDS,
        wall_seconds: float = WALL_SECONDS,
        idle_seconds: float | None = None,
    ) -> None:
        """Children start on first use. idle_seconds: an idle child ends then, and a later call starts another."""
        self.num_processes, self._idle_seconds = num_processes, idle_seconds
        self._limits = (memory_bytes, cpu_seconds, wall_seconds)
        self._idle: queue.LifoQueue[_Child | None] = queue.LifoQueue()  # None: not started, or dead
        for _ in range(num_processes):
            self._idle.put(None)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def decode(self, data: bytes, *, min_height: int = 0, min_width: int = 0) -> Pixels:
        """The pixels of a picture, decoded by `decode_picture` in a child."""
        pixels: Pixels = self.run(_decode, (data, min_height, min_width))
        return pixels

    def run(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """The result of function(argument) in a child; both are pickled, so the function must be importable.

        PictureError when the function raises it, needs too much memory or time, or kills its process; RuntimeError
        with the child's traceback for any other exception, which is a bug of the function.
        """
        child = self._idle.get()
        try:
            if child is not None and not child.is_alive():
                child.end()
                child = None
            child = child or _Child(self._limits, self._idle_seconds)
            try:
                return child.ask(function, argument)
            except _EndedIdleError:
                child.end()
                child = _Child(self._limits, self._idle_seconds)
                return child.ask(function, argument)
        except BaseException:
            if child is not None and not child.is_idle:
                child.end()
            raise
        finally:
            self._idle.put(child)

    def map(self, function: Callable[[Any], Any], arguments: Iterable[Any]) -> Iterator[Any]:
        """Results of function(argument) in the order of `arguments`; a PictureError is yielded, not raised.

        At most twice as many arguments as processes are read ahead.
        """
        result_or_error, num = partial(self._result_or_error, function), self.num_processes
        return in_order(result_or_error, arguments, num_threads=num, num_ahead=2 * num)

    def close(self) -> None:
        """Shutdown of all children, after running calls have ended."""
        for _ in range(self.num_processes):
            child = self._idle.get()
            if child is not None:
                child.end()
        for _ in range(self.num_processes):
            self._idle.put(None)

    def _result_or_error(self, function: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return self.run(function, argument)
        except PictureError as error:
            return error


_SHARED: dict[int, Sandbox] = {}
_SHARED_LOCK = threading.Lock()


def shared_sandbox() -> Sandbox:
    """The sandbox of this process for untrusted pictures, with one child per usable processor.

    Children start on first use and end when they are idle, or with the process.
    """
    with _SHARED_LOCK:
        pid = os.getpid()  # a forked process must not talk to its parent's children
        if pid not in _SHARED:
            _SHARED[pid] = Sandbox(num_allowed_cpus(), idle_seconds=IDLE_SECONDS)
            atexit.register(_SHARED[pid].close)
        return _SHARED[pid]


def _decode(request: tuple[bytes, int, int]) -> Pixels:
    data, min_height, min_width = request
    return decode_picture(data, min_height=min_height, min_width=min_width)


class _EndedIdleError(Exception):
    """End of an idle child just before it received a request."""


class _Child:
    """Handle of one child process, with requests on its standard input and replies on its standard output."""

    def __init__(self, limits: tuple[int, float, float], idle_seconds: float | None) -> None:
        self._limits, self._may_end_idle = limits, idle_seconds is not None
        start = _START.format(path=sys.path, limits=limits, idle=idle_seconds)
        # One thread: a BLAS with a pool would reserve the memory that the limit grants to the picture.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        self.is_idle = self._is_late = False
        try:
            if self._within(self._receive) != ("ready", None):
                raise EOFError
        except (OSError, EOFError):
            self.end()
            raise RuntimeError("a child process for decoding pictures did not start") from None
        self.is_idle = True

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, function: Callable[[Any], Any], argument: Any) -> Any:
        request = pickle.dumps((function, argument), protocol=5)  # before the child is busy: this may raise
        self.is_idle = False
        try:
            kind, result = self._within(lambda: self._exchange(request))
        except (OSError, EOFError):
            if self._ended_idle():
                raise _EndedIdleError from None
            raise PictureError(self._reason_of_death()) from None
        self.is_idle = True
        if kind == "refused":
            raise PictureError(result)
        if kind == "bug":
            raise RuntimeError(f"in a child process:\n{result}")
        return result

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()

    def _within(self, talk: Callable[[], tuple[str, Any]]) -> tuple[str, Any]:
        """The reply of the child, which is killed when its own clocks have not ended it in time."""
        clock = threading.Timer(self._limits[2] + 5, self._end_late)
        clock.daemon = True
        clock.start()
        try:
            return talk()
        finally:
            clock.cancel()

    def _end_late(self) -> None:
        self._is_late = True
        self._process.kill()

    def _exchange(self, request: bytes) -> tuple[str, Any]:
        assert self._process.stdin is not None
        _write(self._process.stdin, request)
        self._process.stdin.flush()
        return self._receive()

    def _receive(self) -> tuple[str, Any]:
        assert self._process.stdout is not None
        num_buffers = _SIZE.unpack(_read(self._process.stdout, _SIZE.size))[0]
        head = _read_part(self._process.stdout)
        buffers = [_read_part(self._process.stdout) for _ in range(num_buffers)]
        reply: tuple[str, Any] = pickle.loads(head, buffers=buffers)
        return reply

    def _ended_idle(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            return self._may_end_idle and not self._is_late and self._process.wait(1) == 0
        return False

    def _reason_of_death(self) -> str:
        self._process.kill()
        code = self._process.wait()
        if self._is_late or (os.name == "posix" and code in (-signal.SIGPROF, -signal.SIGALRM)):
            _, cpu_seconds, wall_seconds = self._limits
            return f"it takes longer than {cpu_seconds:g} seconds of a processor core, or {wall_seconds:g} in all"
        return f"the decoder crashed on it (its process ended with code {code})"


def _serve(limits: tuple[int, float, float], idle_seconds: float | None) -> None:
    """Main loop of a child: answers requests until the pipe is closed, the parent is gone or it has been idle."""
    memory_bytes, cpu_seconds, wall_seconds = limits
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _limit_memory(memory_bytes)
    _reply(replies, ("ready", None))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):  # C libraries write to the console, and must not write between the replies
        os.dup2(nowhere, descriptor)
    # A parent that is gone shows as the end of the pipe, and a child that hangs ends by its clocks: no orphan stays.
    with suppress(EOFError, BrokenPipeError):
        while os.name != "posix" or select.select([requests], [], [], idle_seconds)[0]:
            size = _read(requests, _SIZE.size)
            _start_clocks(cpu_seconds, wall_seconds)
            _reply(replies, _answer(requests, *_SIZE.unpack(size)))
            _start_clocks(0, 0)
    os._exit(0)


def _answer(requests: IO[bytes], num_bytes: int) -> tuple[str, Any]:
    try:
        # The pickled request is bound to no name, so that its memory is free for the picture.
        function, argument = pickle.loads(_read(requests, num_bytes))
        return "result", function(argument)
    except PictureError as error:
        return "refused", str(error)
    except (MemoryError, RecursionError):
        return "refused", "reading it needs more memory than a picture may take"
    except Exception:
        return "bug", traceback.format_exc()


def _limit_memory(num_bytes: int) -> None:
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (num_bytes, num_bytes))


def _start_clocks(cpu_seconds: float, wall_seconds: float) -> None:
    """Start timers whose signals SIGPROF and SIGALRM end the process, even inside C code; 0 stops them."""
    if os.name == "posix":
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _reply(pipe: IO[bytes], reply: tuple[str, Any]) -> None:
    """Write a reply, with arrays out of band (pickle protocol 5): their memory is not copied into the pickle."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(reply, protocol=5, buffer_callback=buffers.append)
    pipe.write(_SIZE.pack(len(buffers)))
    _write(pipe, head)
    for buffer in buffers:
        _write(pipe, buffer.raw())
    pipe.flush()


def _write(pipe: IO[bytes], data: bytes | memoryview) -> None:
    pipe.write(_SIZE.pack(len(data)))
    pipe.write(data)


def _read_part(pipe: IO[bytes]) -> bytearray:
    return _read(pipe, _SIZE.unpack(_read(pipe, _SIZE.size))[0])


def _read(pipe: IO[bytes], num_bytes: int) -> bytearray:
    data = bytearray(num_bytes)
    view, place = memoryview(data), 0
    while place < num_bytes:
        count = pipe.readinto(view[place:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        place += count
    return data
