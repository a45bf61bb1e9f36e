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
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from obverse.errors import ElsewhereError, ObverseError, UnavailableError
from obverse.launch import Launch

# A step waits for the slowest rank, whose loader may wait 300 s for a picture.
TIMEOUT = timedelta(minutes=10)
FAILED = "obverse/failed"
TURN = "obverse/turn"
WATCH_SECONDS = 0.5
# What a process that has been told to end has left for closing its files.
GRACE_SECONDS = 5.0
LONGEST_NAP_SECONDS = 0.1
LOST = (
    "another process of this run ended without a word (was it killed, or out of memory?); go on with --resume, or "
    "start with torchrun --max-restarts"
)


class _Group:
    """The store that all share; turns: how many times the main process has had its turn."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.turns = 0

    def failure(self) -> int | None:
        """The exit code of the first process that failed."""
        return int(self.store.get(FAILED).split()[0]) if self.store.check([FAILED]) else None


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
    _group = _Group(_init(launch))
    over = threading.Event()
    threading.Thread(target=_watch, args=(_Group(_group.store.clone()), over), daemon=True).start()
    try:
        yield
    except BaseException as error:
        _fail(_group, error)
        raise
    over.set()
    _group = None
    dist.destroy_process_group()


def take_turn(*, is_main: bool) -> None:
    """The main process says that it is ready; the others wait for that, or until somebody fails."""
    assert _group is not None
    _group.turns += 1
    key = f"{TURN}/{_group.turns}"
    if is_main:
        _group.store.set(key, "")
        return
    nap = 0.001
    while not _group.store.check([key]):
        code = _group.failure()
        if code is not None:
            raise ElsewhereError(code)
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
        dist.init_process_group(backend, store=store, rank=launch.rank, world_size=launch.world_size, timeout=TIMEOUT)
    except dist.DistError as error:
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UnavailableError(
            f"the {launch.world_size} processes did not find each other at {place}: {error}"
        ) from None
    return store


def _fail(group: _Group, error: BaseException) -> None:
    """Leave the exit code for the others. When another one was first, it has said why, and this one is silent."""
    lost = _is_broken(error)
    code = UnavailableError.exit_code if lost else _exit_code(error)
    try:
        first = group.failure()
        if first is None:
            mine = f"{code} of rank {dist.get_rank()}"
            first = None if group.store.compare_set(FAILED, "", mine).decode() == mine else group.failure()
    except dist.DistError:
        first = None
    if lost:
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
