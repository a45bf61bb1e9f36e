"""A sandbox survives whatever happens to its children, keeps order, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from obverse.imaging import PictureError, Sandbox, decode_picture

JOBS = """
import ctypes, os, signal, sys, time
import numpy as np
def square(x): return x * x
def identity(x): return x
def modules(_): return sorted(m for m in sys.modules if m in ("torch", "torchvision", "matplotlib"))
def pid(_): return os.getpid()
def nap(x): time.sleep(x); return x
def burn(_):
    while True: pass
def crash(_): ctypes.string_at(0)
def leave(_): os._exit(0)
def fill(n): return len(bytearray(n * 2**20))
def shout(_): os.write(1, b"x" * 5000); os.write(2, b"y" * 5000); return "said"
def bug(_): raise KeyError("a bug")
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "sandbox_jobs.py").write_text(JOBS)
    sys.path.insert(0, str(folder))
    import sandbox_jobs

    yield sandbox_jobs
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def box(jobs: Any) -> Iterator[Sandbox]:
    with Sandbox(2, cpu_seconds=0.5, wall_seconds=1.5) as opened:
        yield opened


def test_decoding_in_a_child_gives_the_same_pixels(box: Sandbox, tmp_path: Path, draw_picture: Any) -> None:
    data = draw_picture(tmp_path / "a.png", size=(30, 40)).read_bytes()
    pixels = box.decode(data)
    np.testing.assert_array_equal(pixels, decode_picture(data))
    pixels[0] = 0  # ours to write, as a decoded picture is
    with pytest.raises(PictureError, match="the file is empty"):
        box.decode(b"")


@pytest.mark.parametrize(
    ("job", "argument", "reason"),
    [
        ("burn", 0, "longer than 0.5 seconds"),
        ("nap", 60, r"longer than .* or 1.5 in all"),
        ("crash", 0, "crashed on it"),
        ("leave", 0, "crashed on it"),
        ("fill", 2000, "more memory than a picture may take"),
    ],
)
def test_what_kills_a_child_is_a_picture_error_and_the_next_call_works(
    box: Sandbox, jobs: Any, job: str, argument: int, reason: str
) -> None:
    with pytest.raises(PictureError, match=reason):
        box.run(getattr(jobs, job), argument)
    assert box.run(jobs.square, 12) == 144


def test_a_bug_is_not_taken_for_a_picture(box: Sandbox, jobs: Any) -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'a bug'"):
        box.run(jobs.bug, 0)
    with pytest.raises((AttributeError, TypeError, OSError, Exception), match=r"pickle|lambda"):
        box.run(lambda x: x, 0)
    assert box.run(jobs.square, 3) == 9


def test_the_console_of_a_child_is_closed(box: Sandbox, jobs: Any, capfd: pytest.CaptureFixture[str]) -> None:
    assert box.run(jobs.shout, 0) == "said"
    assert capfd.readouterr() == ("", "")


def test_children_load_no_torch_and_are_reused(box: Sandbox, jobs: Any) -> None:
    assert "torch" in sys.modules or __import__("torch")
    assert box.run(jobs.modules, 0) == []
    assert len({box.run(jobs.pid, 0) for _ in range(6)}) == 1


def test_large_results_travel_whole(box: Sandbox, jobs: Any) -> None:
    values = {"a": np.arange(3_000_000), "b": [np.ones((5, 7)), "text"]}
    back = box.run(jobs.identity, values)
    np.testing.assert_array_equal(back["a"], values["a"])
    np.testing.assert_array_equal(back["b"][0], values["b"][0])


def test_map_keeps_the_order_and_yields_errors_in_their_place(box: Sandbox, jobs: Any) -> None:
    results = list(box.map(jobs.nap, [0.2, 0.0, 0.1, -1.0 + 1.0, 0.05]))
    assert results == [0.2, 0.0, 0.1, 0.0, 0.05]
    mixed = list(box.map(jobs.fill, [1, 4000, 2]))
    assert (mixed[0], mixed[2]) == (2**20, 2**21)
    assert isinstance(mixed[1], PictureError)


def test_map_takes_only_a_bounded_number_in_advance(box: Sandbox, jobs: Any) -> None:
    taken: list[int] = []

    def arguments() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    results = box.map(jobs.square, arguments())
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 3 + 2 * box.num_processes
    results.close()  # type: ignore[attr-defined]


def test_many_threads_may_share_a_sandbox(box: Sandbox, jobs: Any) -> None:
    results: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: box.run(jobs.square, n)})) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n * n for n in range(16)}


def test_closing_ends_the_children_and_a_closed_sandbox_may_be_used_again(jobs: Any) -> None:
    box = Sandbox(1)
    first = box.run(jobs.pid, 0)
    box.close()
    assert not _is_running(first)
    second = box.run(jobs.pid, 0)
    assert second != first
    box.close()
    assert not _is_running(second)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_killed_while_idle_is_replaced(jobs: Any) -> None:
    with Sandbox(1) as box:
        os.kill(box.run(jobs.pid, 0), signal.SIGKILL)
        time.sleep(0.1)
        assert box.run(jobs.square, 5) == 25


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("state", ["idle", "busy"])
def test_no_child_outlives_a_parent_that_is_killed(jobs: Any, state: str) -> None:
    program = f"""
        import sys, threading; sys.path[:] = {sys.path!r}
        import sandbox_jobs
        from obverse.imaging import Sandbox
        box = Sandbox(1, cpu_seconds=0.5)
        pid = box.run(sandbox_jobs.pid, 0)
        if {state!r} == "busy":
            threading.Thread(target=box.run, args=(sandbox_jobs.burn, 0), daemon=True).start()
        print(pid, flush=True)
        threading.Event().wait()
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _is_running(child)
        parent.kill()
    end = time.monotonic() + 20
    while _is_running(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(pid: int) -> bool:
    """Alive and no zombie that only waits for whoever adopted it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")
