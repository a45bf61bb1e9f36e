"""The processes of one run as a group: joining it, and ending all of it when one fails.

A collective operation waits for everybody, so a process that fails must tell the others: it leaves its exit code in the
store of the rendezvous. The others look there when an operation breaks, while they wait for the main process, and
twice a second in a thread, which ends a process that hangs in an operation on a GPU. The first to fail says why.
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
FAILED, HEARD, TURN, HERE, LEFT = (f"obverse/{name}" for name in ("failed", "heard", "turn", "here", "left"))
WATCH_SECONDS = 0.5
# The store may live in the process that fails: it stays until the others have heard of it, or cannot.
HEARING_SECONDS = 2.0
# What a process that has been told to end has left for closing its files.
GRACE_SECONDS = 5.0
LONGEST_NAP_SECONDS = 0.1
LOST = (
    "another process of this run ended without a word (was it killed, or out of memory?); go on with --resume, or "
    "start with torchrun --max-restarts"
)


class _Group:
    """What all leave in the store. turns: how many times the main process has had its turn, or all have met.

    heard: the exit code of the first process that failed, once any thread of this one has read it; the store may be
    gone a moment later.
    """

    def __init__(self, store: Store, launch: Launch, heard: list[int] | None = None) -> None:
        self.store, self.rank, self.others = store, launch.rank, set(range(launch.world_size)) - {launch.rank}
        self.turns, self.heard = 0, [] if heard is None else heard

    def failure(self) -> int | None:
        """The exit code of the first process that failed."""
        try:
            if not self.heard and self.store.check([FAILED]):
                self.heard.append(int(self.store.get(FAILED).split()[0]))
                self.store.set(f"{HEARD}/{self.rank}", "")
        except dist.DistError:
            if not self.heard:
                raise
        return self.heard[0] if self.heard else None

    def report(self, code: int) -> int | None:
        """Say that this process fails; the code of another that was first, or None."""
        mine = f"{code} of rank {self.rank}"
        if self.store.compare_set(FAILED, "", mine).decode() != mine:
            return self.failure()
        end = time.monotonic() + HEARING_SECONDS
        with suppress(dist.DistError):  # the process that holds the store has heard, and is gone
            _nap_until(lambda: self.all(HEARD) or time.monotonic() > end)
        return None

    def await_turn(self, is_time: Callable[[], bool]) -> None:
        """However long it takes; ElsewhereError when somebody fails."""
        _nap_until(lambda: is_time() or self.failure() is not None)
        code = self.failure()
        if code is not None:
            raise ElsewhereError(code)

    def leave(self) -> None:
        """The process that may hold the store goes last."""
        self.store.set(f"{LEFT}/{self.rank}", "")
        if self.rank == 0:
            _nap_until(lambda: self.all(LEFT) or self.failure() is not None)

    def all(self, key: str) -> bool:
        """Whether the others have said `key`."""
        return all(self.store.check([f"{key}/{rank}"]) for rank in self.others)


_group: _Group | None = None


@contextmanager
def joined(launch: Launch) -> Iterator[None]:
    """Be one of the group while the block runs; alone, or inside such a block, this does nothing.

    A failure in the block ends the others too.
    """
    global _group
    if launch.world_size == 1 or _group is not None:
        yield
        return
    _group = _Group(_init(launch), launch)
    over = threading.Event()
    beside = _Group(_group.store.clone(), launch, _group.heard)
    threading.Thread(target=_watch, args=(beside, over), daemon=True).start()
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


def take_turn(*, is_main: bool) -> None:
    """The main process says that it is ready; the others wait for that, or until somebody fails."""
    group = _group
    assert group is not None
    group.turns += 1
    key = f"{TURN}/{group.turns}"
    if is_main:
        group.store.set(key, "")
    else:
        group.await_turn(lambda: group.store.check([key]))


def meet() -> None:
    """Wait for all, or until somebody fails."""
    group = _group
    assert group is not None
    group.turns += 1
    key = f"{HERE}/{group.turns}"
    group.store.set(f"{key}/{group.rank}", "")
    group.await_turn(lambda: group.all(key))


def _nap_until(is_time: Callable[[], bool]) -> None:
    """Ask again and again, ever more seldom, so that signals are heard."""
    nap = 0.001
    while not is_time():
        time.sleep(nap)
        nap = min(2 * nap, LONGEST_NAP_SECONDS)


def _init(launch: Launch) -> Store:
    """Numbers and objects go over the CPU, so that no GPU waits for them."""
    has_cuda = torch.cuda.is_available()
    if has_cuda and launch.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(launch.local_rank)
    backend = "cpu:gloo,cuda:nccl" if has_cuda else "gloo"
    try:
        store: Store = next(iter(rendezvous("env://", launch.rank, launch.world_size, timeout=TIMEOUT)))[0]
        if launch.num_nodes == 1:
            # Without --rdzv-backend torchrun keeps one store for all starts, with the addresses of the dead in it.
            store = PrefixStore(f"start-{launch.num_restarts}", store)
        dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.world_size, timeout=TIMEOUT)
    except dist.DistError as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UnavailableError(
            f"the {launch.world_size} processes did not find each other at {place}: {error}"
        ) from None
    return store


def _fail(group: _Group, error: BaseException) -> None:
    """Tell the others. When another one was first, it has said why, and this one is silent."""
    is_lost = _is_broken(error)
    try:
        first = group.report(UnavailableError.exit_code if is_lost else _exit_code(error))
    except dist.DistError:
        first = group.heard[0] if group.heard else None
    if is_lost:
        raise (UnavailableError(LOST) if first is None else ElsewhereError(first)) from error
    if first is not None and isinstance(error, ObverseError):
        error.is_said = True


def _is_broken(error: BaseException) -> bool:
    """Whether an operation with the others failed."""
    words = ("gloo", "NCCL", "Connection closed by peer")
    return isinstance(error, RuntimeError) and (
        isinstance(error, dist.DistError) or any(word in str(error) for word in words)
    )


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return error.exit_code if isinstance(error, ObverseError) else 1


def _watch(group: _Group, over: threading.Event) -> None:
    """End this process when another has failed and it does not end by itself: it may hang in an operation on a GPU."""
    code: int | None = None
    while code is None and not over.wait(WATCH_SECONDS):
        try:
            code = group.failure()
        except dist.DistError:  # the process that holds the store is gone
            code = UnavailableError.exit_code
    if code is not None and not over.wait(GRACE_SECONDS):
        os._exit(code)
