"""A checkpoint is complete or absent, every byte is verified, and a failing disk harms nothing that was there."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from obverse.errors import DiskError, OutputError
from obverse.runs.checkpoint import Checkpoint, load_newest, save_checkpoint

FILES = ("manifest.json", "model.safetensors", "optimizer.pt", "state.json")


def checkpoint(step):
    tensors = {"model": {"w": torch.arange(4.0) + step, "n": torch.tensor(step)}}
    optimizer = {
        "state": {0: {"momentum": torch.full((2,), float(step))}},
        "param_groups": [{"lr": 0.1, "params": [0]}],
    }
    return Checkpoint(tensors, optimizer, {"step": step, "loss": 0.1 + step, "history": [{"a": 1}]})


def assert_is(found, step):
    expected = checkpoint(step)
    assert found.state == expected.state
    assert found.optimizer["param_groups"] == expected.optimizer["param_groups"]
    assert torch.equal(found.optimizer["state"][0]["momentum"], expected.optimizer["state"][0]["momentum"])
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors["model"][k], v) for k, v in expected.tensors["model"].items())


@pytest.fixture
def folder(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, checkpoint(step))
    return tmp_path


def test_it_comes_back_as_it_was(folder):
    found, complaints = load_newest(folder)
    assert_is(found, 2)
    assert complaints == []


def test_only_the_newest_two_are_kept_by_number_not_by_name(tmp_path):
    for step in (9, 999_999, 1_000_000):
        save_checkpoint(tmp_path, step, checkpoint(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-1000000", "step-999999"]
    assert_is(load_newest(tmp_path)[0], 1_000_000)


def test_the_same_step_can_be_saved_again(folder):
    save_checkpoint(folder, 2, checkpoint(2))
    assert_is(load_newest(folder)[0], 2)


@pytest.mark.parametrize("name", FILES)
def test_any_flipped_byte_is_noticed_and_the_one_before_is_taken(folder, name):
    path = folder / "step-000002" / name
    data = path.read_bytes()
    stride = max(1, len(data) // 200)
    for place in range(0, len(data), stride):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        found, complaints = load_newest(folder)
        assert found.state["step"] == 1, place
        assert len(complaints) == 1
        assert complaints[0].startswith("checkpoint step-000002 is damaged")
    assert_is(found, 1)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "empty", "gone", "longer"])
def test_a_cut_or_missing_file_is_noticed(folder, name, damage):
    path = folder / "step-000002" / name
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"truncated": data[:-1], "empty": b"", "longer": data + b"x"}[damage])
    found, complaints = load_newest(folder)
    assert_is(found, 1)
    assert len(complaints) == 1


@pytest.mark.parametrize("name", ["optimizer.pt", "state.json"])
def test_a_manifest_that_leaves_a_file_out_is_noticed(folder, name):
    path = folder / "step-000002" / "manifest.json"
    digests = json.loads(path.read_text())
    del digests[name]
    path.write_text(json.dumps(digests))
    assert_is(load_newest(folder)[0], 1)


@pytest.mark.parametrize("text", ["[]", "null", '["model.safetensors"]'])
def test_a_manifest_that_is_no_manifest_is_noticed(folder, text):
    (folder / "step-000002" / "manifest.json").write_text(text)
    assert_is(load_newest(folder)[0], 1)


def test_when_all_are_damaged_each_is_said_and_none_is_taken(folder):
    for step in (1, 2):
        (folder / f"step-{step:06d}" / "state.json").write_bytes(b"{}")
    found, complaints = load_newest(folder)
    assert found is None
    assert len(complaints) == 2


def test_an_unfinished_folder_is_not_a_checkpoint(folder):
    shutil.copytree(folder / "step-000001", folder / ".tmp-000003")
    assert_is(load_newest(folder)[0], 2)
    assert load_newest(folder / "nowhere") == (None, [])


@pytest.mark.parametrize("writes_before", [0, 1, 2, 3])
def test_a_full_disk_leaves_the_older_ones_and_no_rest(folder, monkeypatch, writes_before):
    real, calls = Path.open, []

    def failing(path, mode="r", **options):
        if "w" in mode:
            calls.append(path)
            if len(calls) > writes_before:
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, **options)

    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(DiskError, match=r"step-000003.*No space left.*bytes are needed.*--resume") as caught:
        save_checkpoint(folder, 3, checkpoint(3))
    assert caught.value.exit_code == 74
    assert sorted(path.name for path in folder.iterdir()) == ["step-000001", "step-000002"]
    assert_is(load_newest(folder)[0], 2)


def test_a_read_only_folder_is_another_error(folder, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="Read-only") as caught:
        save_checkpoint(folder, 3, checkpoint(3))
    assert caught.value.exit_code == 73


def test_damaged_ones_ahead_of_a_run_that_began_again_do_not_push_out_the_new_ones(folder):
    for path in folder.iterdir():
        (path / "model.safetensors").write_bytes(b"damaged")
    assert load_newest(folder)[0] is None
    save_checkpoint(folder, 1, checkpoint(1))
    assert_is(load_newest(folder)[0], 1)
    assert [path.name for path in folder.iterdir()] == ["step-000001"]


def test_what_a_killed_process_was_writing_goes_with_the_next_one(folder):
    (folder / ".tmp-000003").mkdir()
    (folder / ".tmp-000003" / "model.safetensors").write_bytes(b"half")
    save_checkpoint(folder, 4, checkpoint(4))
    assert sorted(path.name for path in folder.iterdir()) == ["step-000002", "step-000004"]


def test_killed_while_a_step_is_saved_again_one_of_the_two_is_there(tmp_path, monkeypatch):
    save_checkpoint(tmp_path, 1, checkpoint(1))
    real, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, 1, checkpoint(1))
    monkeypatch.undo()
    assert not (tmp_path / "step-000001").exists()
    found, complaints = load_newest(tmp_path)
    assert_is(found, 1)
    assert complaints == []
    save_checkpoint(tmp_path, 1, checkpoint(1))
    assert [path.name for path in tmp_path.iterdir()] == ["step-000001"]


@pytest.mark.parametrize("name", FILES)
def test_a_pipe_is_not_waited_for(folder, name):
    (folder / "step-000002" / name).unlink()
    os.mkfifo(folder / "step-000002" / name)
    assert_is(load_newest(folder)[0], 1)
