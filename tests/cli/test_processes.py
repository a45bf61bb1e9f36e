"""`train --processes N` starts the command several times and ends as it does."""

import os
import signal
import sys
import threading
import time

import pytest

from obverse.cli import processes


@pytest.fixture
def program(monkeypatch):
    """Ranks that run a few lines of Python instead of the command."""
    real = processes.subprocess.Popen
    monkeypatch.setattr(processes, "NAP_SECONDS", 0.01)

    def use(lines):
        code = f"import os, signal, sys, time\nrank = int(os.environ['RANK'])\n{lines}"
        start = lambda command, **more: real([sys.executable, "-c", code], **more)  # noqa: E731
        monkeypatch.setattr(processes.subprocess, "Popen", start)

    return use


def test_what_the_ranks_are_told(program, tmp_path):
    program(f"open(r'{tmp_path}/' + str(rank), 'w').write(' '.join(os.environ[n] for n in "
            "('LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')))")  # fmt: skip
    assert processes.run_processes(3, []) == 0
    told = [(tmp_path / str(rank)).read_text().split() for rank in range(3)]
    assert [words[:4] for words in told] == [[str(rank), "3", "3", "127.0.0.1"] for rank in range(3)]
    assert len({words[4] for words in told}) == 1


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("sys.exit(65 if rank == 0 else 70)", 65),
        ("sys.exit(71 if rank == 2 else 0)", 71),
        ("os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else None", 137),
    ],
)
def test_the_exit_code_is_that_of_rank_0_or_of_the_first_that_failed(program, lines, code):
    program(lines)
    assert processes.run_processes(3, []) == code


def test_a_rank_that_waits_for_one_that_failed_is_ended(program, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(processes, "ENDING_SECONDS", 0.2)
    program("signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60) if rank else sys.exit(69)")
    start = time.monotonic()
    assert processes.run_processes(2, []) == 69
    assert time.monotonic() - start < 30


def test_a_signal_reaches_every_rank_once(program, tmp_path):
    program(f"signal.signal(signal.SIGINT, lambda *_: sys.exit(130))\nopen(r'{tmp_path}/' + str(rank), 'w').close()\n"
            "time.sleep(60)")  # fmt: skip

    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    threading.Thread(target=interrupt).start()
    assert processes.run_processes(2, []) == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_several_launchers_are_one_too_many(refused, monkeypatch, tmp_path):
    launch = {"RANK": 0, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
    for name, value in launch.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("obverse.runtime.joined", lambda launch: __import__("contextlib").nullcontext())
    refused(2, "--processes 3, but a launcher has started 2", "train", tmp_path, "--processes", 3)
