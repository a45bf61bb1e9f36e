"""Ctrl-C at any moment from the first on: one sentence at most, exit code 130, and nothing half begun."""

import os
import signal
import subprocess
import sys
import time

import pytest

from obverse import interrupts

# The signal comes so many seconds after the command's own first statement; before it Python starts, which is not ours.
PROGRAM = "import obverse.__main__ as m; m.listen(); import os; os.write(1, b'.'); m.main()"
QUICK = (0.0, 0.15)
FULL = tuple(round(0.1 * n, 1) for n in range(31))
MOMENTS = [pytest.param(s, marks=[] if s in QUICK else pytest.mark.full) for s in sorted({*QUICK, *FULL})]


def interrupted_after(seconds, arguments, number=signal.SIGINT):
    """Exit code and standard error of the command that got the signal."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout.read(1) == b"."
        time.sleep(seconds)
        process.send_signal(number)
        _, err = process.communicate(timeout=120)
    return process.returncode, err.decode()


def assert_quiet(code, err, number=signal.SIGINT):
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert code in (0, 128 + number), err


@pytest.mark.parametrize("seconds", MOMENTS)
def test_train(training, seconds):
    code, err = interrupted_after(seconds, training.arguments)
    assert_quiet(code, err)
    if code and not (training.run / "recipe.yaml").exists():
        assert not training.run.exists()
    assert training.data.is_dir()


@pytest.mark.parametrize("seconds", [pytest.param(s, marks=pytest.mark.full) for s in FULL[::2]])
def test_predict(shapes_run, shapes, seconds):
    assert_quiet(*interrupted_after(seconds, ["predict", shapes_run, shapes]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_work_changes_nothing(number):
    # What is registered first runs last, after the command's own end.
    late = f"import atexit, os; atexit.register(lambda: os.kill(os.getpid(), {int(number)})); "
    done = subprocess.run([sys.executable, "-c", late + PROGRAM, "--version"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("seconds", [0.0, *(pytest.param(s, marks=pytest.mark.full) for s in (0.02, 0.05, 0.1, 0.3))])
def test_help(seconds):
    assert_quiet(*interrupted_after(seconds, ["--help"]))


def test_a_term_leaves_nothing_either(training):
    code, err = interrupted_after(0.3, training.arguments, signal.SIGTERM)
    assert_quiet(code, err, signal.SIGTERM)
    assert code == 143
    assert (training.run / "recipe.yaml").exists() or not training.run.exists()


def test_while_a_library_loads_the_folder_that_was_claimed_goes(training, tmp_path):
    """At the worst moment, and not by chance: the first module of torch sends the signal itself."""
    (tmp_path / "torch").mkdir()
    code = "import os, signal\ntry:\n os.kill(os.getpid(), signal.SIGINT)\nexcept BaseException as e:\n pass\n"
    (tmp_path / "torch" / "__init__.py").write_text(code + "raise ImportError('a library that swallows it')\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import obverse.__main__ as m; m.main()"
    arguments = map(str, training.arguments)
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "Error: interrupted\n")
    assert not training.run.exists()


def test_elsewhere_it_is_an_exception_as_ever_and_the_handlers_go(monkeypatch):
    before, undone = signal.getsignal(signal.SIGINT), []
    interrupts.undo_at_end(lambda: undone.append(1))
    with pytest.raises(KeyboardInterrupt), interrupts.listening():
        signal.raise_signal(signal.SIGINT)
    assert undone == [1]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("ways", [None, "{folds: 2, ways: {a: {}, b: {optim.lr: 0.1}}}"], ids=["run", "choice"])
def test_between_trainings_it_says_that_all_is_saved(obverse, training, monkeypatch, ways):
    def stopped(*args, **kwargs):
        raise KeyboardInterrupt

    where = "obverse.experiment.train._train" if ways is None else "obverse.studies.choice.train_to_end"
    monkeypatch.setattr(where, stopped)
    more = () if ways is None else ("--set", f"choice={ways}")
    result = obverse(*training.arguments, *more)
    assert result.code == 130
    assert result.err.splitlines()[-1] == "Error: stopped by a signal; everything is saved, go on with --resume"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_a_library_loads_it_says_so_too(monkeypatch, capfd, number):
    def ends(code):
        raise SystemExit(code)

    monkeypatch.setattr(interrupts, "_is_loading", lambda frame: True)
    monkeypatch.setattr(os, "_exit", ends)
    with pytest.raises(SystemExit), interrupts.listening(), interrupts.resumable(lambda: True):
        signal.raise_signal(number)
    assert capfd.readouterr().err == "Error: stopped by a signal; everything is saved, go on with --resume\n"
