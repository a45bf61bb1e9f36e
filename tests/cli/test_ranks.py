"""What the command says when a launcher starts it several times."""

import pytest


@pytest.fixture
def launched_as(monkeypatch):
    def launch(rank):
        launch = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}
        for name, value in launch.items():
            monkeypatch.setenv(name, str(value))

    return launch


def test_work_of_one_process_is_refused_once(obverse, launched_as, tmp_path):
    launched_as(0)
    main = obverse("predict", tmp_path, "a.png")
    assert main.code == 2
    assert main.err == ("Error: obverse predict is the work of one process, and 2 were started; start it without "
                        "torchrun\n")  # fmt: skip
    launched_as(1)
    other = obverse("predict", tmp_path, "a.png")
    assert (other.code, other.err) == (2, "")


def test_help_is_for_every_process(obverse, launched_as):
    launched_as(1)
    assert obverse("train", "--help").code == 0


def test_processes_that_may_be_started_again_need_to_know_the_run(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    refused(2, "torchrun --max-restarts needs --run", "train", tmp_path)


def test_an_environment_that_contradicts_itself_is_a_sentence(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(2, "RANK, MASTER_ADDR, MASTER_PORT is not set", "train", tmp_path)
