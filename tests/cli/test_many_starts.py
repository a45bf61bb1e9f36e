"""Several processes and one run folder: one trains, the others leave at once and before torch is loaded."""

import json
import os
import subprocess
import sys

import pytest

# Ends with the exit code of the command and whether torch was loaded.
LEAVE = """
import json, sys
from obverse.cli.main import main
try:
    main()
    code = 0
except SystemExit as stop:
    code = stop.code or 0
print(json.dumps([code, "torch" in sys.modules]))
"""


def start(*arguments):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LEAVE, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ends(process):
    out, err = process.communicate(timeout=300)
    return json.loads(out.splitlines()[-1]), err


def test_of_eight_starts_one_wins_and_seven_leave_before_torch_is_loaded(training, tree):
    ended = [ends(process) for process in [start(*training.arguments) for _ in range(8)]]
    assert sorted(result for result, _ in ended) == [[0, True], *[[75, False]] * 7]
    for result, err in ended:
        assert result[0] == 0 or err.splitlines()[-1].startswith("Error: another process trains in")
    assert (training.run / "training_log.json").is_file()


@pytest.mark.parametrize("arguments", [("--resume", "--run"), ("DATA", "--run")])
def test_an_unfinished_run_that_is_held_is_refused_before_torch_is_loaded(training, arguments):
    import fcntl

    training.run.mkdir()
    with (training.run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        (training.run / "recipe.yaml").write_text("name: x\n", encoding="utf-8")
        given = [training.data if word == "DATA" else word for word in arguments]
        result, _ = ends(start("train", *given, training.run))
    assert result == [75, False]
