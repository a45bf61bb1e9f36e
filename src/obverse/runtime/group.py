"""The processes of one run as a group: joining it, and ending all of it when one fails.

A collective operation waits for every rank, so a process that fails must notify the others: it writes its exit code
into the rendezvous store. The others read that key when an operation breaks, while they wait at a barrier, and twice a
second in a watchdog thread, which ends a process that hangs in an operation on a GPU. Only the first process to fail
prints the reason.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from obverse.errors import ElsewhereError, ObverseError, UnavailableError
from obverse.launch import Launch

# A step waits for the slowest rank, whose loader may wait 300 s for a picture.
TIMEOUT = timedelta(minutes=10)
# Keys of the rendezvous store.
FAILED, ACKNOWLEDGED, MAIN_READY, ARRIVED, LEFT = (
    f"obverse/{name}" for name in ("failed", "acknowledged", "main-ready", "arrived", "left")
)
WATCH_SECONDS = 0.5
# The store may live in the process that fails: that process waits so long for the others to read the failure.
ACKNOWLEDGE_SECONDS = 2.0
# Time for a process to close its files after another one has failed; then the watchdog thread ends it.
GRACE_SECONDS = 5.0
MAX_POLL_SECONDS = 0.1
LOST = (
    "another process of this run ended without a word (was it killed, or out of memory?); go on with --resume, or "
    "start with torchrun --max-restarts"
)


class _Group:
    """One process's access to the keys that the ranks share in the rendezvous store.

    num_barriers: barriers passed so far; every rank counts the same ones, so the number makes a key unique.
    failure_code: empty, or the exit code of the first process that failed. The threads of a process share this list,
    because the store may be gone a moment after one of them has read the code.
    """

    def __init__(self, store: Store, launch: Launch, failure_code: list[int] | None = None) -> None:
        self.store, self.rank, self.others = store, launch.rank, set(range(launch.world_size)) - {launch.rank}
        self.num_barriers, self.failure_code = 0, [] if failure_code is None else failure_code

    def failure(self) -> int | None:
        """The exit code of the first process that failed, or None."""
        try:
            if not self.failure_code and self.store.check([FAILED]):
                self.failure_code.append(int(self.store.get(FAILED).split()[0]))
                self.store.set(f"{ACKNOWLEDGED}/{self.rank}", "")
        except dist.DistError:
            if not self.failure_code:
                raise
        return self.failure_code[0] if self.failure_code else None

    def report(self, code: int) -> int | None:
        """Publish the exit code of this process. Returns the code of another process that failed before it, or None."""
        mine = f"{code} of rank {self.rank}"
        if self.store.compare_set(FAILED, "", mine).decode() != mine:
            return self.failure()
        end = time.monotonic() + ACKNOWLEDGE_SECONDS
        with suppress(dist.DistError):  # the process that holds the store has read the code, and is gone
            _poll_until(lambda: self.all(ACKNOWLEDGED) or time.monotonic() > end)
        return None

    def wait_until(self, is_done: Callable[[], bool]) -> None:
        """Wait without a time limit; ElsewhereError when another process fails."""
        _poll_until(lambda: is_done() or self.failure() is not None)
        code = self.failure()
        if code is not None:
            raise ElsewhereError(code)

    def leave(self) -> None:
        """End of membership: rank 0, whose process may hold the store, waits until all others have left."""
        self.store.set(f"{LEFT}/{self.rank}", "")
        if self.rank == 0:
            _poll_until(lambda: self.all(LEFT) or self.failure() is not None)

    def all(self, key: str) -> bool:
        """Whether every other rank has set `key`."""
        return all(self.store.check([f"{key}/{rank}"]) for rank in self.others)


_group: _Group | None = None


@contextmanager
def joined(launch: Launch) -> Iterator[None]:
    """Context in which this process is a member of the process group; a failure inside ends the other processes too.

    With one process, or inside such a block, it does nothing.
    """
    global _group
    if launch.world_size == 1 or _group is not None:
        yield
        return
    _group = _Group(_init(launch), launch)
    over = threading.Event()
    watched = _Group(_group.store.clone(), launch, _group.failure_code)
    threading.Thread(target=_watch, args=(watched, over), daemon=True).start()
    try:
        yield
    except BaseException as error:
        _fail(_group, error)
        raise
    over.set()
    dist.destroy_process_group()
    with suppress(dist.DistError):
        _group.leave()
    _group = None


def wait_for_main(*, is_main: bool) -> None:
    """Wait of all other ranks for the main process, without a time limit; ElsewhereError when another one fails."""
    group = _group
    assert group is not None
    group.num_barriers += 1
    key = f"{MAIN_READY}/{group.num_barriers}"
    if is_main:
        group.store.set(key, "")
    else:
        group.wait_until(lambda: group.store.check([key]))


def barrier() -> None:
    """Barrier over all ranks, without a time limit; ElsewhereError when another process fails."""
    group = _group
    assert group is not None
    group.num_barriers += 1
    key = f"{ARRIVED}/{group.num_barriers}"
    group.store.set(f"{key}/{group.rank}", "")
    group.wait_until(lambda: group.all(key))


def _poll_until(is_done: Callable[[], bool]) -> None:
    """Poll with growing pauses. A blocking wait in the store would keep Python from handling signals."""
    pause = 0.001
    while not is_done():
        time.sleep(pause)
        pause = min(2 * pause, MAX_POLL_SECONDS)


def _init(launch: Launch) -> Store:
    """The rendezvous store, with the process group initialised.

    Numbers and objects travel over gloo (CPU), so that no GPU waits for them; gradients on GPUs over NCCL.
    """
    has_cuda = torch.cuda.is_available()
    if has_cuda and launch.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(launch.local_rank)
    backend = "cpu:gloo,cuda:nccl" if has_cuda else "gloo"
    try:
        store: Store = next(iter(rendezvous("env://", launch.rank, launch.world_size, timeout=TIMEOUT)))[0]
        if launch.num_nodes == 1:
            # Without --rdzv-backend torchrun keeps one store over restarts: it holds the addresses of ended processes.
            store = PrefixStore(f"start-{launch.num_restarts}", store)
        dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.world_size, timeout=TIMEOUT)
    except dist.DistError as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UnavailableError(
            f"the {launch.world_size} processes did not find each other at {place}: {error}"
        ) from None
    return store


def _fail(group: _Group, error: BaseException) -> None:
    """Publish a failure of this process. When another process failed first, that one prints the reason, not this."""
    is_lost = _is_broken(error)
    try:
        first = group.report(UnavailableError.exit_code if is_lost else _exit_code(error))
    except dist.DistError:
        first = group.failure_code[0] if group.failure_code else None
    if is_lost:
        raise (UnavailableError(LOST) if first is None else ElsewhereError(first)) from error
    if first is not None and isinstance(error, ObverseError):
        error.is_reported = True


def _is_broken(error: BaseException) -> bool:
    """Whether a collective operation failed, which happens when another process is gone."""
    words = ("gloo", "NCCL", "Connection closed by peer")
    return isinstance(error, RuntimeError) and (
        isinstance(error, dist.DistError) or any(word in str(error) for word in words)
    )


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return error.exit_code if isinstance(error, ObverseError) else 1


def _watch(group: _Group, over: threading.Event) -> None:
    """Watchdog thread: ends this process when another one has failed and this one does not end by itself.

    A process may hang in an operation on a GPU, which no Python exception can interrupt.
    """
    code: int | None = None
    while code is None and not over.wait(WATCH_SECONDS):
        try:
            code = group.failure()
        except dist.DistError:  # the process that holds the store is gone
            code = UnavailableError.exit_code
    if code is not None and not over.wait(GRACE_SECONDS):
        os._exit(code)
